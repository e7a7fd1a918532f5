/** DER (ITU-T X.690), as far as certificates and signatures need it: lengths are definite and minimal. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(
    body.length
      .toString(16)
      .padStart(8, '0')
      .replace(/^(00)+/, ''),
    'hex',
  );
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

export const sequence = (...contents: readonly Uint8Array[]) => der(0x30, ...contents);
export const set = (...contents: readonly Uint8Array[]) => der(0x31, ...contents);
/** `[number]`, constructed: EXPLICIT around an element, or IMPLICIT in place of a SET's tag. */
export const tagged = (number: number, ...contents: readonly Uint8Array[]) => der(0xa0 | number, ...contents);
export const octets = (bytes: Uint8Array) => der(0x04, bytes);
export const bits = (bytes: Uint8Array, unused = 0) => der(0x03, Buffer.from([unused]), bytes);
export const utf8 = (text: string) => der(0x0c, Buffer.from(text));

/** A number that is not negative, from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = first < 0 ? Buffer.alloc(1) : Buffer.from(bytes.subarray(first));
  return der(0x02, short[0]! & 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short);
}

/** `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]];
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from(bytes));
}

/** One element: its tag, its bytes with the header, and those inside. */
export interface DerElement {
  readonly tag: number;
  readonly whole: Buffer;
  readonly body: Buffer;
}

/** The elements that lie one behind the other in `bytes`. Throws for what is cut short or has no definite length. */
export function readDer(bytes: Buffer): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0x80;
    let header = 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4 || at + 2 + count > bytes.length) throw new Error('not DER: a bad length');
      length = bytes.readUIntBE(at + 2, count);
      header += count;
    }
    const end = at + header + length;
    if (end > bytes.length) throw new Error('not DER: an element is cut short');
    elements.push({ tag, whole: bytes.subarray(at, end), body: bytes.subarray(at + header, end) });
    at = end;
  }
  return elements;
}
