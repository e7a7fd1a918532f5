import { createHash } from 'node:crypto';
import { ECDSA_WITH_SHA256, type SigningCertificate, type UpdateSigner } from './certificate.ts';
import { integer, octets, oid, sequence, set, tagged } from './der.ts';

const DATA = oid('1.2.840.113549.1.7.1');
const SIGNED_DATA = oid('1.2.840.113549.1.7.2');
const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'));

/**
 * A CMS signature in DER (RFC 5652 section 5) over content of type `data`, without signed attributes: it says nothing of the
 * time, so a signer that is deterministic gives the same bytes again. With `attached`, the content is in it.
 */
export async function cmsSignature(
  content: { readonly attached: Uint8Array } | { readonly digest: Uint8Array },
  certificate: SigningCertificate,
  signer: UpdateSigner,
): Promise<Buffer> {
  const attached = 'attached' in content ? content.attached : undefined;
  const digest = 'attached' in content ? createHash('sha256').update(content.attached).digest() : content.digest;
  const version = integer(Buffer.from([1]));
  const signerInfo = sequence(
    version,
    sequence(certificate.issuer, certificate.serial),
    SHA256,
    ECDSA_WITH_SHA256,
    octets(await signer.sign(digest)),
  );
  const signedData = sequence(
    version,
    set(SHA256),
    sequence(DATA, ...(attached ? [tagged(0, octets(attached))] : [])),
    tagged(0, ...[...certificate.chain].sort(Buffer.compare)), // a SET in DER is sorted
    set(signerInfo),
  );
  return sequence(SIGNED_DATA, tagged(0, signedData));
}
