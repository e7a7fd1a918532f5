/** `KEY=value` lines as in os-release(5); quotes are taken off. */
export function parseAssignments(text: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (!match) continue;
    const value = match[2]!.trim();
    const quoted = /^(["'])(.*)\1$/.exec(value);
    result[match[1]!] = quoted ? quoted[2]!.replace(/\\(["'$`\\])/g, '$1') : value;
  }
  return result;
}
