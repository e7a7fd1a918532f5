export function dryRun(path: string): Promise<{ readonly accepted: boolean; readonly lines: readonly string[] }>;
