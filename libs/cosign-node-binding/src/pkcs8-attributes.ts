import { readMetadata, type KeyMetadata } from './key-metadata.ts';

/*
 * PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm, privateKey, attributes [0] IMPLICIT SET OF Attribute OPTIONAL }
 * (RFC 5208 section 5). Go (encoding/asn1 skips what follows the known fields) and OpenSSL read such keys as any other.
 */
const SEQUENCE = 0x30;
const SET = 0x31;
const UTF8_STRING = 0x0c;
const ATTRIBUTES = 0xa0; // context-specific, constructed, 0
/** id-at-description, 2.5.4.13 (X.520): text about the object, here the metadata as JSON. */
const DESCRIPTION = Uint8Array.of(0x06, 0x03, 0x55, 0x04, 0x0d);

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Position behind the element. */
  readonly end: number;
}

/** The same private key with the metadata among its attributes; `pkcs8` is DER. */
export function addMetadataAttribute(pkcs8: Uint8Array, metadata: KeyMetadata): Uint8Array {
  const outer = readElement(pkcs8, 0);
  if (!outer || outer.tag !== SEQUENCE) throw new TypeError('not a PKCS#8 private key');
  const text = element(UTF8_STRING, Buffer.from(JSON.stringify(metadata)));
  const attribute = element(SEQUENCE, DESCRIPTION, element(SET, text));
  return element(
    SEQUENCE,
    ...readElements(outer.content).filter((part) => !isAttributes(part)),
    element(ATTRIBUTES, attribute),
  );
}

/** The metadata among the attributes of a private key; empty when it has none. */
export function readMetadataAttribute(pkcs8: Uint8Array): KeyMetadata {
  const outer = readElement(pkcs8, 0);
  const attributes = readElements(outer?.content).find(isAttributes);
  for (const attribute of readElements(readElement(attributes, 0)?.content)) {
    const [type, values] = readElements(readElement(attribute, 0)?.content);
    if (!type || Buffer.compare(type, DESCRIPTION) !== 0) continue;
    const text = readElement(readElement(values, 0)?.content, 0);
    if (text?.tag !== UTF8_STRING) continue;
    try {
      return readMetadata(JSON.parse(Buffer.from(text.content).toString()));
    } catch {
      continue; // somebody else's description
    }
  }
  return {};
}

function isAttributes(der: Uint8Array): boolean {
  return der[0] === ATTRIBUTES;
}

function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(contents);
  const length = content.length;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]; // keys stay below 64 KiB
  return Buffer.concat([Uint8Array.of(tag, ...head), content]);
}

function readElement(der: Uint8Array | undefined, start: number): Element | undefined {
  const tag = der?.[start];
  const first = der?.[start + 1];
  if (!der || tag === undefined || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 2) return undefined;
  let length = first < 0x80 ? first : 0;
  for (let i = 0; i < lengthBytes; i += 1) length = length * 256 + (der[start + 2 + i] ?? 0);
  const content = start + 2 + lengthBytes;
  if (content + length > der.length) return undefined;
  return { tag, content: der.subarray(content, content + length), end: content + length };
}

/** The elements that stand one after the other, each with its head. */
function readElements(der: Uint8Array | undefined): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let start = 0; der && start < der.length;) {
    const next = readElement(der, start);
    if (!next) break;
    found.push(der.subarray(start, next.end));
    start = next.end;
  }
  return found;
}
