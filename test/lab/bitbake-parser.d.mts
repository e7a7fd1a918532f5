export interface BitbakeNode {
  readonly depth: number;
  readonly isError: boolean;
  /** As tree-sitter-bitbake names it: `variable_assignment`, `identifier`, `literal`, … */
  readonly type: string;
  readonly text: string;
}

export function whyNoBitbakeParser(): string | undefined;
export function parseBitbake(paths: readonly string[]): Promise<Map<string, readonly BitbakeNode[]>>;
export function parseBitbakeTexts(
  texts: Readonly<Record<string, string>>,
): Promise<Map<string, readonly BitbakeNode[]>>;
