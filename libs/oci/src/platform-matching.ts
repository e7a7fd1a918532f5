import { formatPlatform, UserError, type Platform } from '@boxship/model';
import { isConfigType, isIndexType, isManifestType } from './media-type.ts';
import type { Index, IndexEntry } from './manifest.ts';

/**
 * The platform from `os/architecture[/variant]`, normalised; `arm64` alone means linux.
 * Errors: BAD_PLATFORM.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant] = parts.length === 1 ? ['linux', ...parts] : parts;
  if (!os || !architecture || parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part))) {
    throw new UserError('BAD_PLATFORM', `"${text}" is not a platform`, 'Write it as linux/arm64 or linux/arm/v7.');
  }
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
}

/** One spelling for each platform: containerd/platforms `database.go` (`normalizeOS`, `normalizeArch`). */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  let architecture = platform.architecture.toLowerCase();
  let variant = platform.variant?.toLowerCase() ?? '';
  switch (architecture) {
    case 'i386':
      architecture = '386';
      variant = '';
      break;
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      architecture = 'amd64';
      if (variant === 'v1') variant = '';
      break;
    case 'aarch64':
    case 'arm64':
      architecture = 'arm64';
      if (variant === '8' || variant === 'v8' || variant === 'v8.0') variant = '';
      break;
    case 'armhf':
      architecture = 'arm';
      variant = 'v7';
      break;
    case 'armel':
      architecture = 'arm';
      variant = 'v6';
      break;
    case 'arm':
      if (variant === '') variant = 'v7';
      else if (/^[5-8]$/.test(variant)) variant = `v${variant}`;
      break;
  }
  return { os: os === 'macos' ? 'darwin' : os, architecture, ...(variant === '' ? {} : { variant }) };
}

/**
 * Platforms that run on `platform`, best first, as containerd/platforms `compare.go` (`OnlyStrict`): arm/v7 takes v6 and
 * v5, amd64/v3 takes v2 and v1, arm64 only itself. Never another architecture: a 64-bit kernel without 32-bit support
 * would not run it, and nothing would say so before the first boot.
 */
export function runnablePlatforms(platform: Platform): readonly Platform[] {
  const wanted = normalizePlatform(platform);
  const { os, architecture } = wanted;
  const lowest: Readonly<Record<string, number>> = { arm: 5, amd64: 1 };
  const from = Number(/^v(\d+)$/.exec(wanted.variant ?? '')?.[1] ?? NaN);
  const to = Object.hasOwn(lowest, architecture) ? lowest[architecture]! : NaN;
  const list = [wanted];
  for (let version = from - 1; version >= to; version--) {
    list.push(normalizePlatform({ os, architecture, variant: `v${version}` }));
  }
  return list;
}

/** How well `offered` runs on `wanted`: 0 is best; undefined when it does not run there. */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  const name = formatPlatform(normalizePlatform(offered));
  const rank = runnablePlatforms(wanted).findIndex((platform) => formatPlatform(platform) === name);
  return rank < 0 ? undefined : rank;
}

/**
 * True for entries that are images or indexes of images. Others accompany an image: BuildKit's attestations
 * (`vnd.docker.reference.type`), cosign's signatures (`kind`), artifacts with a type of their own.
 */
export function isImageEntry(entry: IndexEntry): boolean {
  if (!isManifestType(entry.mediaType) && !isIndexType(entry.mediaType)) return false;
  if (entry.annotations['vnd.docker.reference.type'] !== undefined) return false;
  if (/^dev\.cosignproject\.cosign\/(sigs|atts|sboms)$/.test(entry.annotations['kind'] ?? '')) return false;
  if (entry.artifactType && !isConfigType(entry.artifactType)) return false;
  const { platform } = entry;
  return (
    !platform || (platform.architecture !== '' && platform.architecture !== 'unknown' && platform.os !== 'unknown')
  );
}

/** True for entries that can be asked for as an artifact: all but what accompanies another one. */
export function isArtifactEntry(entry: IndexEntry): boolean {
  const { artifactType: _any, platform: _none, ...rest } = entry;
  return isImageEntry(rest);
}

/**
 * The entry of an index that runs best on `platform`; of equals the first. An entry that names no platform is taken when
 * it is the only image (its configuration decides later).
 * Errors: PLATFORM_MISSING, which lists what the index offers. `subject` names the index in messages.
 */
export function selectManifest(index: Index, platform: Platform, subject: string): IndexEntry {
  const images = index.manifests.filter(isImageEntry);
  let best: { entry: IndexEntry; rank: number } | undefined;
  for (const entry of images) {
    const rank = entry.platform && platformRank(platform, entry.platform);
    if (rank !== undefined && (!best || rank < best.rank)) best = { entry, rank };
  }
  if (best) return best.entry;
  const [only] = images;
  if (images.length === 1 && only && !only.platform) return only;
  throw platformMissing(
    subject,
    platform,
    images.flatMap((entry) => entry.platform ?? []),
  );
}

/** PLATFORM_MISSING: `subject` has nothing for `wanted`; `offered` is what it has. */
export function platformMissing(subject: string, wanted: Platform, offered: readonly Platform[]): UserError {
  const names = [...new Set(offered.map((platform) => formatPlatform(normalizePlatform(platform))))].sort();
  return new UserError(
    'PLATFORM_MISSING',
    `${subject} has no image for ${formatPlatform(normalizePlatform(wanted))}; it offers ${names.join(', ') || 'no platform at all'}`,
    'Build the image for this platform (docker buildx build --platform …), or name another image.',
  );
}
