import { hashFile } from '@boxship/disk';
import { writeFileAtomically } from '@boxship/host';
import type { ArtifactFile } from '../artifact-file.ts';
import type { SinkOptions } from '../artifact-format.ts';
import { signingCertificate } from '../cms/certificate.ts';
import type { PlannedDiskImage, WrittenDiskImage } from '../disk-image-form.ts';

/** Name of the file with the certificates that the updates are signed with, for the device to trust. */
export function certificateName({ name }: Pick<PlannedDiskImage, 'name'>): string {
  return `${name.replace(/\.img$/, '')}.updates.pem`;
}

/** Writes the certificates beside the updates: one that the key signed itself, or those of the product file. */
export async function writeCertificate(
  image: WrittenDiskImage,
  { signer }: SinkOptions,
): Promise<readonly ArtifactFile[]> {
  const file = await image.derive(certificateName(image), async (path) => {
    const { selfSigned } = await signingCertificate(signer, `${image.variant.product} updates`);
    await writeFileAtomically(path, selfSigned ?? signer.certificatePem!);
    return await hashFile(path);
  });
  return [file];
}
