import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { UserError } from '@boxship/model';
import { bits, der, integer, octets, oid, readDer, sequence, set, tagged, utf8 } from './der.ts';

/** Signs for updaters with the key of the product. */
export interface UpdateSigner {
  /** SubjectPublicKeyInfo, PEM: ECDSA on P-256. */
  readonly publicKeyPem: string;
  /** Certificate of that key in PEM, those of its issuers behind it. Absent: one that the key signs itself. */
  readonly certificatePem?: string;
  /** ECDSA over a SHA-256 digest, as DER. */
  sign(digest: Uint8Array): Promise<Uint8Array>;
}

/** What a CMS signature says of who signed. */
export interface SigningCertificate {
  /** The certificate of the key first; DER. */
  readonly chain: readonly Buffer[];
  /** DER elements of the first one. */
  readonly issuer: Buffer;
  readonly serial: Buffer;
  /** The first one, where the key signed it itself: what a device has to trust. */
  readonly selfSigned?: string;
}

export const ECDSA_WITH_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** The certificate that goes with the signatures. Errors: BAD_CERTIFICATE, UNSUPPORTED_KEY. */
export async function signingCertificate(signer: UpdateSigner, name: string): Promise<SigningCertificate> {
  const spki = spkiOf(signer.publicKeyPem);
  if (signer.certificatePem === undefined) {
    const made = await selfSigned(signer, spki, name);
    return { ...described(made), chain: [made], selfSigned: pemOf(made) };
  }
  const chain = givenChain(spki, signer.certificatePem);
  return { ...described(chain[0]), chain };
}

/** What `signingCertificate` would refuse, before anything is signed. Errors: BAD_CERTIFICATE, UNSUPPORTED_KEY. */
export function checkCertificate({ publicKeyPem, certificatePem }: Omit<UpdateSigner, 'sign'>): void {
  const spki = spkiOf(publicKeyPem);
  if (certificatePem !== undefined) givenChain(spki, certificatePem);
}

/** DER of each, that of the key first. */
function givenChain(spki: Buffer, pem: string): readonly [Buffer, ...Buffer[]] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const bad = (why: string) =>
    new UserError('BAD_CERTIFICATE', `the certificate of the signing key ${why}`, 'Give PEM: the certificate of the key first, those of its issuers behind it.'); // prettier-ignore
  let chain: readonly X509Certificate[];
  try {
    chain = blocks.map((block) => new X509Certificate(block));
  } catch {
    throw bad('cannot be read');
  }
  const [first, ...issuers] = chain;
  if (!first) throw bad('is not in PEM');
  if (!spki.equals(first.publicKey.export({ type: 'spki', format: 'der' }))) throw bad('is of another key');
  return [first.raw, ...issuers.map(({ raw }) => raw)];
}

/** SubjectPublicKeyInfo of the key in DER. Errors: UNSUPPORTED_KEY for other than ECDSA. */
export function spkiOf(pem: string): Buffer {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'ec') {
    throw new UserError(
      'UNSUPPORTED_KEY',
      `bundles for updaters are signed with ECDSA on P-256, the key is ${key.asymmetricKeyType}`,
      'boxship keygen makes such a key.',
    );
  }
  return key.export({ type: 'spki', format: 'der' });
}

/** Issuer and serial number of a certificate (RFC 5280 section 4.1). */
function described(certificate: Buffer): Pick<SigningCertificate, 'issuer' | 'serial'> {
  const [outer] = readDer(certificate);
  const fields = readDer(readDer(outer!.body)[0]!.body);
  const at = fields[0]!.tag === 0xa0 ? 1 : 0; // the version may be left out
  return { serial: fields[at]!.whole, issuer: fields[at + 2]!.whole };
}

/**
 * The same bytes each time for one key and name: the serial number comes from the key, the times are the first and the last
 * that there are (RFC 5280 section 4.1.2.5: no well-defined expiration).
 */
async function selfSigned(signer: UpdateSigner, spki: Buffer, name: string): Promise<Buffer> {
  const subject = sequence(set(sequence(oid('2.5.4.3'), utf8(name.slice(0, 64)))));
  const extension = (id: string, value: Uint8Array, critical = false) =>
    sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), octets(value));
  const keyBits = readDer(readDer(spki)[0]!.body)[1]!.body.subarray(1);
  const purposes = ['1.3.6.1.5.5.7.3.4', '1.3.6.1.5.5.7.3.3']; // emailProtection, as SWUpdate wants it; codeSigning
  const extensions = [
    extension('2.5.29.19', sequence(), true), // basicConstraints: no CA
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true), // keyUsage: digitalSignature
    extension('2.5.29.37', sequence(...purposes.map(oid))),
    extension('2.5.29.14', octets(createHash('sha1').update(keyBits).digest())), // subjectKeyIdentifier
  ];
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))), // X.509 v3
    integer(createHash('sha256').update(spki).digest().subarray(0, 16)),
    ECDSA_WITH_SHA256,
    subject,
    sequence(der(0x17, Buffer.from('700101000000Z')), der(0x18, Buffer.from('99991231235959Z'))),
    subject,
    spki,
    tagged(3, sequence(...extensions)),
  );
  const signature = await signer.sign(createHash('sha256').update(body).digest());
  return sequence(body, ECDSA_WITH_SHA256, bits(signature));
}

function pemOf(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
