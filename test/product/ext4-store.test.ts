import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { checkFilesystem, copyRange, whyNoMount, withMount } from './partition-file.ts';
import { composeSample, makeSampleProduct, type SampleRelease } from './sample-product.ts';

// The partitions as e2fsprogs and the kernel see them. The reference for a layer is what GNU tar extracts from its blob.

let folder = '';
let made: SampleRelease;
const partitions = { store: '', data: '' };

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'ext4-'));
  const { image: base } = await buildBaseImage();
  const { program } = inject('product');
  const product = await makeSampleProduct({ program, folder: join(folder, 'product'), base, traps: true });
  made = await composeSample(product);
  for (const role of ['store', 'data'] as const) {
    partitions[role] = join(folder, `${role}.img`);
    await copyRange(made.image, made.partition(role), partitions[role]);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the two partitions', () => {
  it('are file systems that e2fsck has nothing to say about', async () => {
    await checkFilesystem(partitions.store);
    await checkFilesystem(partitions.data);
  });

  it('have what a device wants (tune2fs)', async () => {
    for (const file of Object.values(partitions)) {
      const { stdout } = await runProgram('tune2fs', ['-l', file]);
      const said = new Map(stdout.toString().split('\n').map((line) => line.split(/:\s+/, 2) as [string, string])); // prettier-ignore
      const features = said.get('Filesystem features')!.split(' ');
      expect(features).toEqual(
        expect.arrayContaining(['has_journal', 'ext_attr', 'dir_index', 'extent', '64bit', 'metadata_csum', 'large_file', 'huge_file', 'extra_isize']),
      ); // prettier-ignore
      expect(features).not.toContain('needs_recovery');
      expect(said.get('Filesystem state')).toBe('clean');
      expect(said.get('Block size')).toBe('4096');
      expect(said.get('Inode size')).toBe('256');
      expect(said.get('Checksum type')).toBe('crc32c');
      expect(said.get('Mount count')).toBe('0');
    }
  });

  it('grow 64-fold (resize2fs), and are sound then', async () => {
    for (const role of ['store', 'data'] as const) {
      const file = join(folder, 'grown.img');
      await copyRange(partitions[role], { start: 0, size: made.partition(role).size }, file);
      await runProgram('truncate', ['-s', String(made.partition(role).size * 64), file]);
      await runProgram('resize2fs', [file]);
      await checkFilesystem(file);
      const { stdout } = await runProgram('tune2fs', ['-l', file]);
      const blocks = Number(/^Block count:\s+(\d+)$/m.exec(stdout.toString())![1]);
      expect(blocks * 4096).toBe(made.partition(role).size * 64);
      await rm(file);
    }
  });
});

describe.skipIf(whyNoMount())('the store, mounted by the kernel', () => {
  it('has every path of every layer as tar extracts it; whiteouts and opaque directories as overlayfs wants them', async () => {
    const mountPoint = join(folder, 'mount');
    await withMount(partitions.store, mountPoint, 'ro', async () => {
      const diffs = await diffFolders(join(mountPoint, 'docker'));
      const layers = new Map(
        made.release.variant.images.flatMap(({ layers }) => layers.map(({ blob, diffId }) => [diffId, blob.digest])),
      );
      expect([...diffs.keys()].sort()).toEqual([...layers.keys()].sort());
      for (const [diffId, digest] of layers) {
        const reference = join(folder, 'reference');
        const blob = await blobFile(digest);
        const named = await extract(blob, reference);
        const [expected, found] = [await list(reference), await list(diffs.get(diffId)!)];
        expect(withoutUnnamed(found, named), digest).toEqual(withoutUnnamed(expected, named));
        await rm(reference, { recursive: true });
      }
    });
  });

  it('holds what the fixtures hold on purpose', async () => {
    const mountPoint = join(folder, 'mount');
    await withMount(partitions.store, mountPoint, 'ro', async () => {
      const all = (await Promise.all([...(await diffFolders(join(mountPoint, 'docker'))).values()].map(list))).flat();
      const has = (pattern: RegExp) => expect(all.filter((line) => pattern.test(line))).not.toEqual([]);
      has(/^opt\/app\/removed\.txt\|c\|0\|.*\|0:0$/); // a whiteout
      has(/^opt\/app\/opaque trusted\.overlay\.opaque=0x79$/);
      has(/ security\.capability=0x01000002/);
      has(/^opt\/app\/bin\/setuid\|f\|4755\|/);
      has(/^opt\/app\/big-owner\|f\|640\|70000\|3000000000\|/);
      has(/^opt\/app\/sparse\|f\|.*\|8388608$/);
    });
  });
});

/** Folder of each layer, by its diff_id, as docker's own layerdb tells. */
async function diffFolders(dataRoot: string): Promise<Map<string, string>> {
  const layerdb = join(dataRoot, 'image/overlay2/layerdb/sha256');
  const found = new Map<string, string>();
  for (const chain of await readdir(layerdb)) {
    const read = (name: string) => readFile(join(layerdb, chain, name), 'utf8');
    found.set(await read('diff'), join(dataRoot, 'overlay2', await read('cache-id'), 'diff'));
  }
  return found;
}

async function blobFile(digest: string): Promise<string> {
  const { stdout } = await runProgram('find', [
    join(folder, 'product/images'),
    '-name',
    digest.slice('sha256:'.length),
  ]);
  return stdout.toString().split('\n')[0]!;
}

/** Extracts a layer with GNU tar and says its whiteouts overlayfs's way. Returns the names that the archive has. */
async function extract(blob: string, to: string): Promise<Set<string>> {
  await mkdir(to);
  const options = ['-x', '-p', '--numeric-owner', '--xattrs', '--xattrs-include=*', '--delay-directory-restore'];
  await runProgram('tar', [...options, '-f', blob], { cwd: to });
  const script = `
find . -name '.wh.*' -print | while IFS= read -r marker; do
  folder=$(dirname "$marker"); name=$(basename "$marker"); time=$(stat -c %Y "$folder")
  rm "$marker"
  case $name in
    .wh..wh..opq) setfattr -n trusted.overlay.opaque -v y "$folder" ;;
    *) mknod -m 0 "$folder/\${name#.wh.}" c 0 0 ;;
  esac
  touch -d "@$time" "$folder"
done`;
  await runProgram('sh', ['-c', script], { cwd: to });
  const { stdout } = await runProgram('tar', ['-t', '--quoting-style=literal', '-f', blob]);
  return new Set(stdout.toString('latin1').split('\n').map((name) => name.replace(/\/$/, ''))); // prettier-ignore
}

/** Times of what no archive names (missing parents, whiteouts) are the extracting tool's own affair. */
function withoutUnnamed(lines: readonly string[], named: ReadonlySet<string>): string[] {
  return lines.map((line) => {
    const [path, type, mode, uid, gid, , ...rest] = line.split('|');
    if (rest.length === 0 || named.has(path!)) return line;
    return [path, type, mode, uid, gid, 'any time', ...rest].join('|');
  });
}

/** Every path below a folder: type, attributes, links, sizes; digests of files; numbers of devices; extended attributes. */
async function list(at: string): Promise<string[]> {
  const attributes = '%P|%y|%m|%U|%G|%T@|%n|%l|';
  const find = async (...words: string[]) => (await runProgram('find', ['.', ...words], { cwd: at })).stdout.toString('latin1').split('\n'); // prettier-ignore
  const lines = [
    ...(await find('!', '-type', 'f', '!', '-type', 'c', '!', '-type', 'b', '-mindepth', '1', '-printf', `${attributes}\\n`)),
    ...(await find('-type', 'f', '-printf', `${attributes}%s\\n`)),
    ...(await find('-type', 'f', '-exec', 'sha256sum', '{}', '+')),
  ]; // prettier-ignore
  const devices = await find('(', '-type', 'b', '-o', '-type', 'c', ')', '-exec', 'stat', '-c', '%n %t:%T', '{}', '+');
  const numbers = new Map(devices.map((line) => [line.slice(2, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)])); // prettier-ignore
  const special = await find('(', '-type', 'b', '-o', '-type', 'c', ')', '-printf', `${attributes}\\n`);
  for (const line of special.filter(Boolean)) lines.push(line + numbers.get(line.split('|')[0]!));
  const { stdout } = await runProgram('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], { cwd: at });
  let file = '';
  for (const line of stdout.toString('latin1').split('\n')) {
    if (line.startsWith('# file: ')) file = line.slice(8);
    else if (line) lines.push(`${file} ${line}`);
  }
  return lines.filter(Boolean).sort();
}
