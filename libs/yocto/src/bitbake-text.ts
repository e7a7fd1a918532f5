import { UserError, type Location } from '@boxship/model';

/**
 * `text` as the right-hand side of an assignment, quotes included: bitbake gives the variable exactly these characters.
 * bitbake has no escapes (ConfHandler.py takes what stands between the outer quotes), so that some texts cannot be written:
 * control characters, `${` (it would be expanded), both kinds of quotes at once, and a backslash at the end (the line would
 * go on); double quotes go with neither backslash nor dollar. Errors: BAD_BITBAKE_TEXT, naming `what`.
 */
export function bitbakeString(text: string, what: string, where?: Location): string {
  const fault = faultOf(text);
  if (fault) {
    throw new UserError(
      'BAD_BITBAKE_TEXT',
      `${what} ${fault}: ${JSON.stringify(text)}`,
      'bitbake has no way to quote it: write it in other words.',
      where,
    );
  }
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}

function faultOf(text: string): string | undefined {
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) return 'has a line break or another control character';
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text))
    return 'is not valid Unicode';
  if (text.includes('${')) return 'has "${", which bitbake would expand';
  if (text.includes('"') && text.includes("'")) return 'has both kinds of quotes';
  // bitbake would take it; editors and linters that know its grammar do not
  if (text.includes('"') && /[\\$]/.test(text)) return 'has double quotes beside a backslash or a dollar';
  if (text.endsWith('\\')) return 'ends with a backslash';
  return undefined;
}

/**
 * An assignment over several lines, one word each, as oelint and OE's style guide have it:
 * `NAME = " \` … `"`; on one line when there is one word. Words hold no quotes, blanks or `${`.
 */
export function bitbakeWords(words: readonly string[]): string {
  for (const word of words) {
    if (!/^[A-Za-z0-9@%+.,:;=/_{}$~*-]+$/.test(word)) throw new Error(`"${word}" is no word of a bitbake list`);
  }
  if (words.length < 2) return `"${words.join('')}"`;
  return `"\\\n${words.map((word) => `    ${word} \\\n`).join('')}"`;
}
