import type { Digest } from '@boxship/model';
import type { OperatingSystem, SoftwarePackage } from './software-package.ts';

/** purl-spec "Character encoding": all but unreserved characters and the colon is percent-encoded. */
function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/%3A/g, ':')
    .replace(/[!'()*]/g, percent);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/**
 * A package URL (purl-spec, types deb and apk). Their namespace is the distribution, so there is none without os-release; opkg has
 * no registered type.
 */
export function packageUrl(one: SoftwarePackage, os: OperatingSystem | undefined): string | undefined {
  if (one.manager === 'opkg' || !os) return undefined;
  const type = one.manager === 'dpkg' ? 'deb' : 'apk';
  const { architecture } = one;
  const distro = os.versionId === undefined ? os.id : `${os.id}-${os.versionId}`;
  const qualifiers = [
    ...(architecture === undefined ? [] : [`arch=${encode(architecture)}`]),
    `distro=${encode(distro)}`,
  ];
  return `pkg:${type}/${encode(os.id)}/${encode(one.name)}@${encode(one.version)}?${qualifiers.join('&')}`;
}

/** purl-spec, type oci: the last part of the name, the digest as version, where it is from as qualifier. */
export function imageUrl(reference: string, digest: Digest, architecture: string): string {
  const [, path, tag] = /^(.*?)(?::([^:/@]+))?(?:@.*)?$/.exec(reference)!;
  const name = path!.slice(path!.lastIndexOf('/') + 1).toLowerCase();
  const qualifiers = [
    `arch=${encode(architecture)}`,
    `repository_url=${encode(path!)}`,
    ...(tag === undefined ? [] : [`tag=${encode(tag)}`]),
  ];
  return `pkg:oci/${encode(name)}@${encode(digest)}?${qualifiers.join('&')}`;
}
