import { createHash } from 'node:crypto';
import { MiB, type ByteRange, type ContentSource, type Digest, type Variant } from '@boxship/model';
import type { ArtifactRelease, RootfsChange } from './artifact-format.ts';
import { withoutRange } from './raw-artifact.ts';

/** A part of an artifact that does not depend on the signing key. */
export interface PayloadPart {
  readonly name: string;
  /** Of an update: the file in it that holds the bytes, as the updater's own tool takes it out. */
  readonly file?: string;
  /** Where its bytes are in that file, or in the artifact, in that of a compressed one unpacked; ascending and apart. */
  readonly ranges: readonly ByteRange[];
  /** Its bytes are those of this source in the file system at `start`: who writes them from memory can digest them there. */
  readonly content?: {
    readonly start: number;
    readonly source: ContentSource;
    /** What `lock` found, when the source lies here as it was digested there. */
    readonly digest?: Digest;
  };
}

export interface DigestedPart extends Omit<PayloadPart, 'content'> {
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

/** The payload of parts whose digests are known. */
export function payloadOf({ base, rootfsChanges, parts }: Omit<Payload, 'digest'>): Payload {
  const payload = { ...(base ? { base } : {}), rootfsChanges, parts };
  return { digest: sha256(payloadText(payload)), ...payload };
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
    payload: (digests) =>
      payloadOf({
        ...(base ? { base: base.digest } : {}),
        rootfsChanges: changes.map(({ path }) => path),
        parts: parts.map(({ name, ranges }, part) => ({ name, digest: digests[part]!, ranges })),
      }),
  };
}

const LAYER_PART = 'store/';

/** The name of the part, or of the store when it is a layer of one. */
const wholeOf = (name: string) => (isStorePart(name) ? 'store' : name);

/** Whether a part is one of those that `storeParts` makes. */
export function isStorePart(name: string): boolean {
  return name === 'store' || name.startsWith(LAYER_PART);
}

/** Layers from here on are parts of their own. A number that changes payloads: it must not depend on anything. */
const OWN_PART = 8 * MiB;

/**
 * The parts that are the store at `start` of an artifact: what a flasher must write of it, but for the place of the signature.
 * What no flasher must write is not in use, and may hold anything. Large image layers are parts of their own
 * (`store/sha256:…`, their diff_id): all variants have the bytes of one in common, so that they are digested once.
 */
export function storeParts(
  { store, signature }: Pick<ArtifactRelease, 'store' | 'signature'>,
  start: number,
): readonly PayloadPart[] {
  let rest: readonly ByteRange[] = withoutRange(store.mapped, signature);
  const layers: PayloadPart[] = [];
  for (const source of store.sources()) {
    if (source.size < OWN_PART || !/^sha256:[0-9a-f]{64}$/.test(source.id)) continue;
    const { ranges, sequence } = store.contentRun(source) ?? {};
    if (!ranges || ranges.some((range) => range.start < signature.end && signature.start < range.end)) continue;
    for (const range of ranges) rest = withoutRange(rest, range);
    const { laidOut } = source;
    const known: { digest?: Digest } = laidOut?.sequence === sequence ? { digest: `sha256:${laidOut!.sha256}` } : {};
    layers.push({
      ...{ name: `${LAYER_PART}${source.id}`, ranges: placed(ranges, start) },
      content: { start, source, ...known },
    });
  }
  return [{ name: 'store', ranges: placed(rest, start) }, ...layers];
}

/**
 * The payload of an artifact of which one half was made anew: `fresh` takes the place of the parts of the same names, layers of a store
 * (there may be others now) that of all layers of the store; the others are those that it had, `moved` bytes further on. Undefined where it had none, as in a release of an earlier version.
 */
export function exchangedPayload(
  variant: Pick<Variant, 'base'>,
  changes: readonly Pick<RootfsChange, 'path'>[] | undefined,
  old: Payload | undefined,
  fresh: readonly PayloadPart[],
  moved: (name: string) => number = () => 0,
): PayloadPlan | undefined {
  if (!old) return undefined;
  const parts = old.parts.flatMap(({ name, ranges }) => {
    const same = fresh.filter((part) => wholeOf(part.name) === wholeOf(name));
    if (same.length === 0) return [{ name, ranges: placed(ranges, moved(name)) }];
    return name.startsWith(LAYER_PART) ? [] : same; // all of a store come in the place of its first
  });
  return planPayload(variant, changes ?? old.rootfsChanges.map((path) => ({ path })), parts);
}

/** The ranges, `start` further on. */
export function placed(ranges: readonly ByteRange[], start: number): readonly ByteRange[] {
  return ranges.map((range) => ({ start: start + range.start, end: start + range.end }));
}

function sha256(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
