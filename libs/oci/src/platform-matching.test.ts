import { describe, expect, it } from 'vitest';
import { formatPlatform, type Digest } from '@boxship/model';
import type { Index, IndexEntry } from './manifest.ts';
import { mediaTypes } from './media-type.ts';
import { normalizePlatform, parsePlatform, runnablePlatforms, selectManifest } from './platform-matching.ts';

const entry = (name: string | undefined, more: Partial<IndexEntry> = {}): IndexEntry => {
  const [os = '', architecture = '', variant] = name?.split('/') ?? [];
  const platform = { os, architecture, ...(variant ? { variant } : {}) };
  const id = Buffer.from(name ?? 'none')
    .toString('hex')
    .padEnd(64, '0')
    .slice(0, 64);
  const base = { mediaType: mediaTypes.ociManifest, digest: `sha256:${id}` as Digest, size: 1, annotations: {} };
  return { ...base, ...(name === undefined ? {} : { platform }), ...more };
};
const indexOf = (...manifests: IndexEntry[]): Index => ({ kind: 'index', mediaType: mediaTypes.ociIndex, manifests });
const select = (wanted: string, ...offered: string[]) => {
  const { platform } = selectManifest(
    indexOf(...offered.map((name) => entry(name))),
    parsePlatform(wanted),
    'acme/app:1',
  );
  return platform && formatPlatform(platform);
};

describe('platforms', () => {
  // containerd/platforms platforms_test.go, TestNormalize and TestParseSelector
  it.each([
    ['linux/aarch64', 'linux/arm64'], ['linux/arm64/v8', 'linux/arm64'], ['linux/arm64/8', 'linux/arm64'],
    ['linux/armhf', 'linux/arm/v7'], ['linux/armel', 'linux/arm/v6'], ['linux/arm', 'linux/arm/v7'], ['linux/arm/7', 'linux/arm/v7'],
    ['linux/x86_64', 'linux/amd64'], ['linux/amd64/v1', 'linux/amd64'], ['linux/amd64/v2', 'linux/amd64/v2'],
    ['linux/i386', 'linux/386'], ['Linux/ARM64', 'linux/arm64'], ['riscv64', 'linux/riscv64'],
  ])('reads %s as %s', (text, normal) => {
    expect(formatPlatform(parsePlatform(text))).toBe(normal);
    expect(normalizePlatform(parsePlatform(text))).toEqual(parsePlatform(text));
  }); // prettier-ignore

  it.each(['', 'linux/', '/arm64', 'a/b/c/d', 'linux/arm 64'])('refuses "%s"', (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'BAD_PLATFORM' }));
  });

  // containerd/platforms compare_test.go, TestOnlyStrict
  it('knows what runs on what, best first', () => {
    const names = (text: string) => runnablePlatforms(parsePlatform(text)).map(formatPlatform);
    expect(names('linux/arm/v7')).toEqual(['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5']);
    expect(names('linux/arm/v6')).toEqual(['linux/arm/v6', 'linux/arm/v5']);
    expect(names('linux/amd64/v3')).toEqual(['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64']);
    expect(names('linux/arm64')).toEqual(['linux/arm64']);
  });

  it('selects the best entry', () => {
    expect(select('linux/arm/v7', 'linux/amd64', 'linux/arm/v5', 'linux/arm/v6')).toBe('linux/arm/v6');
    expect(select('linux/arm/v7', 'linux/arm/v6', 'linux/arm/v7')).toBe('linux/arm/v7');
    expect(select('linux/arm64', 'linux/arm64/v8')).toBe('linux/arm64/v8');
    expect(select('linux/amd64', 'linux/amd64/v2', 'linux/amd64')).toBe('linux/amd64');
    expect(select('linux/amd64/v2', 'linux/amd64', 'linux/amd64/v3')).toBe('linux/amd64');
  });

  it('takes no other architecture or system, and lists what there is', () => {
    expect(() => select('linux/arm64', 'linux/arm/v7', 'windows/amd64', 'linux/amd64', 'linux/amd64')).toThrow(
      /^acme\/app:1 has no image for linux\/arm64; it offers linux\/amd64, linux\/arm\/v7, windows\/amd64$/m,
    );
    expect(() => select('linux/amd64')).toThrow(/it offers no platform at all/);
  });

  it('skips attestations, unknown platforms, signatures and other artifacts', () => {
    const others = [
      entry('linux/amd64', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
      entry('unknown/unknown'),
      entry('linux/'),
      entry('linux/amd64', { mediaType: 'application/vnd.cncf.helm.chart' }),
      entry('linux/amd64', { artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json' }),
      entry(undefined, { annotations: { kind: 'dev.cosignproject.cosign/sigs' } }),
    ];
    expect(() => selectManifest(indexOf(...others), parsePlatform('amd64'), 'x')).toThrow(/no platform at all/);
    const real = entry('linux/amd64', { digest: `sha256:${'f'.repeat(64)}` });
    expect(selectManifest(indexOf(...others, real), parsePlatform('amd64'), 'x')).toBe(real);
  });

  it('takes an entry that names no platform when it is the only image', () => {
    const bare = entry(undefined);
    expect(selectManifest(indexOf(bare), parsePlatform('amd64'), 'x')).toBe(bare);
    expect(() => selectManifest(indexOf(bare, bare), parsePlatform('amd64'), 'x')).toThrow(/has no image for/);
  });
});
