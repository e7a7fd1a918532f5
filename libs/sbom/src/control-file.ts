/** Fields of a paragraph by their names in lower case; lines of a folded field are joined by newlines. */
export type Paragraph = ReadonlyMap<string, string>;

/** Paragraphs of a control file (deb822(5)), as dpkg and opkg keep their databases. Lines that are none are left out. */
export function parseControl(text: string): readonly Paragraph[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap((lines): Paragraph[] => {
    const fields = new Map<string, string>();
    let last: string | undefined;
    for (const line of lines.split('\n')) {
      if (/^[ \t]/.test(line)) {
        if (last !== undefined) fields.set(last, `${fields.get(last)}\n${line.trim()}`);
        continue;
      }
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
    return fields.size === 0 ? [] : [fields];
  });
}
