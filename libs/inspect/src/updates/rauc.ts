import { UserError } from '@boxship/model';
import { DESCRIPTION_MAX, type UpdateReader } from './update-reader.ts';

const SQUASHFS = 'hsqs';
/** id-signedData, RFC 5652 5.1, as DER. */
const SIGNED_DATA = Buffer.from('06092a864886f70d010702', 'hex');

/**
 * A RAUC bundle: squashfs, in verity bundles its hash tree, then a CMS signature and its length in 8 bytes, big-endian (RAUC
 * reference, "Bundle Formats"). The manifest of a verity bundle is inside of the signature; that of a plain one is in the squashfs.
 */
export const rauc: UpdateReader = {
  name: 'rauc',
  async read(file, name) {
    if (file.size < 4096 || Buffer.from(await file.read(0, 4)).toString('latin1') !== SQUASHFS) return undefined;
    const length = Number(Buffer.from(await file.read(file.size - 8, 8)).readBigUInt64BE());
    if (!(length > 32 && length <= DESCRIPTION_MAX && length + 8 < file.size)) return undefined; // a squashfs without a signature
    const cms = Buffer.from(await file.read(file.size - 8 - length, length));
    if (cms[0] !== 0x30 || !cms.subarray(0, 32).includes(SIGNED_DATA)) return undefined;
    const content = signedContent(cms, name);
    const payload = { name: 'squashfs', size: file.size - 8 - length };
    return { description: content?.toString('utf8') ?? '', members: [payload, { name: 'signature', size: length }] };
  },
};

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** encapContentInfo.eContent of a SignedData (RFC 5652 5.1); undefined for a detached signature. Errors: BAD_UPDATE. */
function signedContent(cms: Buffer, name: string): Buffer | undefined {
  const damaged = new UserError(
    'BAD_UPDATE',
    `the signature of ${name} is not what CMS says it is: the file is damaged`,
  );
  const inside = (element: Element | undefined): Element[] => {
    if (!element) throw damaged;
    return elements(element.content, damaged);
  };
  const [contentInfo] = elements(cms, damaged);
  const [, explicit] = inside(contentInfo);
  const [signedData] = inside(explicit);
  const encapsulated = inside(signedData)[2]; // version, digestAlgorithms, encapContentInfo, …
  const [, eContent] = inside(encapsulated);
  return eContent && inside(eContent)[0]?.content;
}

/** The elements of a DER encoding (X.690 8.1), one level. */
function elements(bytes: Buffer, damaged: UserError): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? 0xff;
    let start = at + 2;
    if (length & 0x80) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 4 || start + octets > bytes.length) throw damaged;
      length = bytes.readUIntBE(start, octets);
      start += octets;
    }
    if (start + length > bytes.length) throw damaged;
    found.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
