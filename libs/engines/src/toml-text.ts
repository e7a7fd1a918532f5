/** A basic string of TOML 1.0: JSON's escapes are among TOML's. */
export function tomlText(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}
