/**
 * Splits a command as Compose does (mattn/go-shellwords: quotes and backslashes, no variables, no globs). Compose silently
 * forgets everything from an unquoted `; & | < >` on; here that is an error, as are parentheses, backticks and a quote
 * that never closes.
 */
export function splitShellWords(
  text: string,
): { readonly words: readonly string[] } | { readonly error: string; readonly hint: string } {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (char === '\\' && quote !== "'") {
      i++;
      if (i === text.length)
        return { error: 'the command ends with a backslash', hint: 'Remove it, or write it twice.' };
      word = (word ?? '') + text[i]!;
    } else if (quote) {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (';&|<>()`'.includes(char)) {
      return {
        error: `the command holds an unquoted "${char}", but no shell reads it`,
        hint: 'Write a list: ["/bin/sh", "-c", "first && second"].',
      };
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote)
    return { error: `a ${quote} in the command never closes`, hint: 'Close it, or write the command as a list.' };
  if (word !== undefined) words.push(word);
  return { words };
}
