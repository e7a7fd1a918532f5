import type { Checkpoints } from '@boxship/disk';
import type { Digest } from '@boxship/model';
import type { Payload } from './payload.ts';

/** A file of an artifact, as a release names it. */
export interface ArtifactFile {
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
  /** Of a plain image: where a damaged copy differs is found to one step. */
  readonly checkpoints?: Checkpoints;
  /** Of a compressed image: size and digest of what it unpacks to. */
  readonly unpacked?: { readonly size: number; readonly digest: Digest };
  /** What it carries, whoever signs it; absent for what only describes another file. */
  readonly payload?: Payload;
}
