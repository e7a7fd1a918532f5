import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { digestImage, hashFile, streamDigests, type StreamDigests } from '@boxship/disk';
import { planTar, readRootfsTree, writeTar, type TarPlan } from '@boxship/filesystem';
import { closeSynced, fileWriter, sideBySide, withPath, writeFileAtomically } from '@boxship/host';
import { MiB, type ArtifactOptions, type ByteRange, type ContentSource, type Tree } from '@boxship/model';
import type { ArtifactFile } from '../artifact-file.ts';
import {
  changesOf,
  type ArtifactRelease,
  type ArtifactSink,
  type PlannedArtifact,
  type PlannedFormat,
  type SinkOptions,
} from '../artifact-format.ts';
import { compressFile, compressorOf, type FileCompression } from '../compress-file.ts';
import { planPayload, type PayloadPlan } from '../payload.ts';
import { withoutRange } from '../raw-artifact.ts';
import { editedEntries, withEdits } from '../rootfs-with-socket.ts';

type Compression = FileCompression | 'none';

/** What the file systems must be that take the archives. Written beside them, as JSON. */
interface FilesystemFacts {
  readonly archive: string;
  readonly filesystem: 'ext4';
  readonly label: string;
  /** By which the device finds it. */
  readonly uuid: string;
  /** Bytes, at least. */
  readonly size: number;
}

/**
 * Tar archives for those who make the disk themselves: the rootfs with the device socket, the store, the data partition as
 * shipped. All of them are to be unpacked by root with numeric owners and all extended attributes.
 */
export const rootfsTar: PlannedFormat = {
  name: 'rootfs-tar',
  readOptions: ({ compression = 'none' }) => ({ format: 'rootfs-tar', compression: compression as string }),
  describe: (options) => `rootfs-tar with compression ${compressionOf(options)}`,
  programs: (options) => compressorOf(compressionOf(options)),
  plan,
};

function compressionOf({ compression }: ArtifactOptions): Compression {
  return compression as Compression; // `readOptions` made it
}

async function plan(release: ArtifactRelease, wanted: readonly ArtifactOptions[]): Promise<PlannedArtifact> {
  const { variant, base, rootfs, dataTree, storeTree, store, data } = release;
  const { epoch } = variant;
  // nobody names the partitions for us: they are found by the UUIDs of their file systems
  const socket = release.socket('mbr');
  const edits = socket.entries.length > 0 ? await rootfs.planEdit(socket.entries, { epoch }) : [];
  const id = `rootfs:${(await Promise.all(base.sources.map((source) => source.digest()))).join('+')}`;
  const tree = withEdits(await readRootfsTree(rootfs.files, { id }), editedEntries(edits));
  const rootfsPlan = planTar(tree);
  const storePlan = planTar(storeTree);
  const changes = changesOf(edits, socket);
  const whole = { start: 0, end: storePlan.size };
  const payloads: Payloads = {
    rootfs: planPayload(variant, changes, []), // the vendor's, and the key: what is changed counts by its paths
    store: planPayload(
      variant,
      [],
      [{ name: 'store', ranges: withoutRange([whole], placeOfSignature(release, storePlan)) }],
    ),
    data: planPayload(variant, [], [{ name: 'data', ranges: [{ start: 0, end: planTar(dataTree).size }] }]),
  };
  const compressions = wanted.map(compressionOf);
  const name = `${variant.product}-${variant.version}-${variant.machine.name}-${variant.name}`;
  const archives = { rootfs: `${name}.rootfs.tar`, store: `${name}.store.tar`, data: `${name}.data.tar` };
  const facts = (role: 'store' | 'data', size: number): FilesystemFacts => ({
    ...{ archive: archives[role], filesystem: 'ext4', label: `boxship-${role}`, uuid: release.identity(role), size },
  });
  const partitionsFile = {
    name: `${name}.partitions.json`,
    text: `${JSON.stringify([facts('store', store.sizeBytes), facts('data', data.sizeBytes)], null, 2)}\n`,
  };
  const partition = (number: number, role: 'rootfs' | 'store' | 'data', size: number) => ({ number, size, type: '', name: role === 'rootfs' ? role : `boxship-${role}`, role }); // prettier-ignore
  const partitions = [
    partition(1, 'rootfs', rootfsPlan.size),
    partition(2, 'store', store.sizeBytes),
    partition(3, 'data', data.sizeBytes),
  ];
  const layout = (list: readonly (typeof partitions)[number][]) => ({ size: list.reduce((sum, { size }) => sum + size, 0), partitions: list }); // prettier-ignore
  return {
    files: [
      ...compressions.flatMap((one) =>
        Object.values(archives).map((file) => (one === 'none' ? file : `${file}.${one}`)),
      ),
      partitionsFile.name,
    ],
    table: { type: 'mbr', before: layout(partitions.slice(0, 1)), after: layout(partitions) },
    isNominal: true,
    changes,
    warnings: [],
    bytesToWrite: rootfsPlan.size + storePlan.size,
    vendorBytes: rootfsPlan.size,
    sources: storePlan.sources(),
    open: (folder, { signal } = {}) =>
      openArchives(folder, archives, { tree, dataTree, storePlan, payloads, compressions, partitionsFile, signal }),
  };
}

type Payloads = Readonly<Record<'rootfs' | 'store' | 'data', PayloadPlan>>;

interface Contents {
  readonly tree: Tree;
  readonly dataTree: Tree;
  readonly storePlan: TarPlan;
  readonly payloads: Payloads;
  readonly compressions: readonly Compression[];
  readonly partitionsFile: { readonly name: string; readonly text: string };
  readonly signal: AbortSignal | undefined;
}

async function openArchives(
  folder: string,
  archives: Readonly<Record<'rootfs' | 'store' | 'data', string>>,
  { tree, dataTree, storePlan, payloads, compressions, partitionsFile, signal }: Contents,
): Promise<ArtifactSink> {
  const path = join(folder, archives.store);
  const handle = await open(path, 'wx', 0o644);
  try {
    await handle.truncate(storePlan.size);
  } catch (error) {
    await handle.close();
    throw withPath(error, path);
  }
  const target = fileWriter(handle, path);
  /** Of the archives whose bytes were written in order. */
  const digested = new Map<string, StreamDigests>();
  const rangesOf = (role: keyof Payloads) => payloads[role].parts.map(({ ranges }) => ranges);
  const holds = ({ id }: ContentSource) => storePlan.sources().some((source) => source.id === id);
  return {
    async writeFrame(onBytes) {
      await storePlan.writeMetadata(target);
      const write = async (role: keyof Payloads, content: Tree, count: typeof onBytes) => {
        digested.set(role, await writeArchive(join(folder, archives[role]), content, rangesOf(role), count, signal));
      };
      await write('rootfs', tree, onBytes);
      await write('data', dataTree, () => {});
    },
    contentWriters: (source) => (holds(source) ? [storePlan.contentWriter(source, target)] : []),
    scatterTargets: (source) =>
      holds(source)
        ? [{ descriptor: handle.fd, path, start: 0, pieces: storePlan.contentPieces(source), onWritten() {} }]
        : [],
    settle: () => closeSynced(handle, path),
    async finish(sink) {
      const finished = await sideBySide(
        (Object.entries(archives) as [keyof Payloads, string][]).map(([role, name]) => async (signal) => {
          const digests = digested.get(role) ?? (await digestInThread(join(folder, name), rangesOf(role), signal));
          return await finishArchive(folder, name, digests, payloads[role], compressions, { ...sink, signal });
        }),
        { signal: sink.signal },
      );
      const path = join(folder, partitionsFile.name);
      await writeFileAtomically(path, partitionsFile.text);
      return [...finished.flat(), { name: partitionsFile.name, ...(await hashFile(path)) }];
    },
    abandon: () => handle.close(),
  };
}

/** By a thread of its own: other artifacts are made meanwhile. */
async function digestInThread(
  path: string,
  parts: readonly (readonly ByteRange[])[],
  signal: AbortSignal,
): Promise<StreamDigests> {
  const { sha256, size, parts: found } = await digestImage(path, [], { parts, signal });
  return { digest: sha256, size, parts: found };
}

/** The archive in every compression that is wanted; the plain one goes when it is none of them. */
async function finishArchive(
  folder: string,
  name: string,
  { size, digest, parts }: StreamDigests,
  plan: PayloadPlan,
  compressions: readonly Compression[],
  sink: SinkOptions,
): Promise<readonly ArtifactFile[]> {
  const path = join(folder, name);
  const payload = plan.payload(parts);
  const files = await sideBySide(
    compressions.map((compression) => async (signal): Promise<ArtifactFile> => {
      if (compression === 'none') return { name, size, digest, payload };
      const packed = await compressFile(path, compression, { ...sink, signal });
      return { name: `${name}.${compression}`, ...packed, unpacked: { size, digest }, payload };
    }),
    { signal: sink.signal },
  );
  if (!compressions.includes('none')) await unlink(path);
  return files;
}

/** The place of the signature in the archive of the store: the same bytes that it has in the file system. */
function placeOfSignature({ storeTree, signature, store }: ArtifactRelease, plan: TarPlan): ByteRange {
  for (const { content } of storeTree.entries()) {
    if (!content || !('source' in content)) continue;
    const [inStore] = store.contentPieces(content.source).batches();
    if (inStore?.[2] !== signature.start) continue;
    const [inArchive] = plan.contentPieces(content.source).batches();
    const start = inArchive![2]!;
    return { start, end: start + signature.end - signature.start };
  }
  throw new Error('the store has no signature');
}

/** An archive whose bytes come in order: those of the vendor's rootfs, and small ones. Digests it on the way, and parts of it. */
async function writeArchive(
  path: string,
  tree: Tree,
  parts: readonly (readonly ByteRange[])[],
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<StreamDigests> {
  const digests = streamDigests(parts);
  const handle = await open(path, 'wx', 0o644);
  const file = fileWriter(handle, path);
  // one is filled while the other is written
  let [filling, other] = [Buffer.allocUnsafeSlow(MiB), Buffer.allocUnsafeSlow(MiB)];
  let filled = 0;
  let position = 0;
  let writing = Promise.resolve();
  const flush = async () => {
    await writing;
    const bytes = filling.subarray(0, filled);
    writing = file.write(position, bytes).then(() => onBytes(bytes.length));
    writing.catch(() => {}); // told where it is waited for
    digests.add(bytes);
    position += filled;
    filled = 0;
    [filling, other] = [other, filling];
  };
  try {
    for await (const chunk of writeTar(tree, signal)) {
      for (let at = 0; at < chunk.length;) {
        const count = Math.min(chunk.length - at, filling.length - filled);
        filling.set(chunk.subarray(at, at + count), filled);
        at += count;
        filled += count;
        if (filled === filling.length) await flush();
      }
    }
    await flush();
    await writing;
    await closeSynced(handle, path);
    return digests.digests();
  } catch (error) {
    await writing.catch(() => {});
    await handle.close().catch(() => {});
    throw error;
  }
}
