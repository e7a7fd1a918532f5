/** See node-versions.mjs: path of the node program of a major version, or undefined where it cannot be fetched. */
export function nodeProgram(major: number): Promise<string | undefined>;
