import { createHash } from 'node:crypto';
import type { ByteRange, Digest, Variant } from '@boxship/model';
import type { ArtifactRelease, RootfsChange } from './artifact-format.ts';
import { withoutRange } from './raw-artifact.ts';

/** A part of an artifact that does not depend on the signing key. */
export interface PayloadPart {
  readonly name: string;
  /** Where its bytes are in the artifact, in that of a compressed one unpacked; ascending and apart. */
  readonly ranges: readonly ByteRange[];
}

export interface DigestedPart extends PayloadPart {
  /** SHA-256 of the bytes of all ranges, one after another. */
  readonly digest: Digest;
}

/**
 * What an artifact carries, without what a signing key adds: equal for releases that differ in their keys alone. How to compute
 * it with other tools is written down in docs/release-file.md.
 */
export interface Payload {
  /** SHA-256 of `payloadText`. */
  readonly digest: Digest;
  /** Of the base image, as the lock has it; absent when there is none. */
  readonly base?: Digest;
  /** Paths that were added to or changed in the vendor's rootfs. */
  readonly rootfsChanges: readonly string[];
  readonly parts: readonly DigestedPart[];
}

/** What the digest of a payload is made of: lines as `sha256sum` prints them. */
export function payloadText({ base, rootfsChanges, parts }: Omit<Payload, 'digest'>): string {
  const paths = rootfsChanges.map((path) => `${path}\n`).join('');
  return [
    ...(base === undefined ? [] : [[base, 'base'] as const]),
    [sha256(paths), 'rootfs-changes'] as const,
    ...parts.map(({ digest, name }) => [digest, name] as const),
  ]
    .map(([digest, name]) => `${digest.replace('sha256:', '')}  ${name}\n`)
    .join('');
}

/** What of an artifact has digests, and what is made of them. */
export interface PayloadPlan {
  readonly parts: readonly PayloadPart[];
  /** `digests` are those of the parts, in their order. */
  payload(digests: readonly Digest[]): Payload;
}

export function planPayload(
  { base }: Pick<Variant, 'base'>,
  changes: readonly Pick<RootfsChange, 'path'>[],
  parts: readonly PayloadPart[],
): PayloadPlan {
  return {
    parts,
    payload(digests) {
      const payload = {
        ...(base ? { base: base.digest } : {}),
        rootfsChanges: changes.map(({ path }) => path),
        parts: parts.map(({ name, ranges }, part) => ({ name, digest: digests[part]!, ranges })),
      };
      return { digest: sha256(payloadText(payload)), ...payload };
    },
  };
}

/**
 * The part that is the store at `start` of an artifact: what a flasher must write of it, but for the place of the signature.
 * What no flasher must write is not in use, and may hold anything.
 */
export function storePart(
  { store, signature }: Pick<ArtifactRelease, 'store' | 'signature'>,
  start: number,
): PayloadPart {
  return { name: 'store', ranges: placed(withoutRange(store.mapped, signature), start) };
}

/**
 * The payload of an artifact of which one half was made anew: `fresh` takes the place of the parts of the same names, the others are
 * those that it had, `moved` bytes further on. Undefined where it had none, as in a release of an earlier version.
 */
export function exchangedPayload(
  variant: Pick<Variant, 'base'>,
  changes: readonly Pick<RootfsChange, 'path'>[] | undefined,
  old: Payload | undefined,
  fresh: readonly PayloadPart[],
  moved: (name: string) => number = () => 0,
): PayloadPlan | undefined {
  if (!old) return undefined;
  const parts = old.parts.map(
    ({ name, ranges }) => fresh.find((part) => part.name === name) ?? { name, ranges: placed(ranges, moved(name)) },
  );
  return planPayload(variant, changes ?? old.rootfsChanges.map((path) => ({ path })), parts);
}

/** The ranges, `start` further on. */
export function placed(ranges: readonly ByteRange[], start: number): readonly ByteRange[] {
  return ranges.map((range) => ({ start: start + range.start, end: start + range.end }));
}

function sha256(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
