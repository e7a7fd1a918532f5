import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileReader, runProgram } from '@boxship/host';
import { MiB, UserError, type PartitionTable } from '@boxship/model';
import { appendPartitions, findDataEnd, type NewPartition } from './append-partitions.ts';
import { ROOT_PARTITION_TYPES } from './partition-type.ts';
import {
  appendTo,
  asSfdisk,
  bytesOf,
  complaints,
  itNeeds,
  overwrite,
  readTable,
  sfdiskImage,
  sfdiskTable,
} from './test-disks.ts';
import { uuidFrom } from './uuid.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-disk-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let count = 0;
const fresh = () => join(folder, `${++count}.img`);

const STORE: NewPartition = {
  name: 'boxship-store',
  partitionUuid: 'aaaaaaaa-1111-4111-8111-111111111111',
  size: 10 * MiB + 100,
  attributes: 1n << 60n,
};
const DATA: NewPartition = {
  name: 'boxship-data',
  partitionUuid: 'bbbbbbbb-2222-4222-8222-222222222222',
  size: 4 * MiB,
};
const NEWS = [STORE, DATA];

async function fault(work: Promise<unknown>): Promise<UserError> {
  return await work.then(
    () => expect.fail('no error'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );
}

/** sfdisk and sgdisk accept the new image, read it as we do, and find every vendor partition as it was. */
async function expectSound(result: Awaited<ReturnType<typeof appendTo>>): Promise<void> {
  expect(await complaints(result.path)).toEqual([]);
  expect(await sfdiskTable(result.path)).toEqual(asSfdisk(result.table));
  const again = await readTable(result.path);
  expect({ ...again, warnings: [] }).toEqual({ ...result.table, warnings: [] });
  const kept = again.partitions.filter(({ number }) => result.before.partitions.some((old) => old.number === number));
  expect(kept.map(({ number, start, type, partitionUuid }) => ({ number, start, type, partitionUuid }))).toEqual(
    result.before.partitions.map(({ number, start, type, partitionUuid }) => ({ number, start, type, partitionUuid })),
  );
  const starts = result.added.map(({ start }) => start);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  expect(Math.max(...again.partitions.map(({ start }) => start))).toBe(starts.at(-1));
}

describe('appendPartitions to a GPT', () => {
  const script = `label: gpt
start=1MiB, size=4MiB, type=uefi, name="EFI system", attrs="RequiredPartition"
start=8MiB, size=16MiB, type=linux, name="root", attrs="GUID:59,60"
start=5MiB, size=1MiB, type=linux
`;
  itNeeds('sfdisk', 'sgdisk')('grows the device, and sgdisk and sfdisk are content', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, script);
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.added.map(({ number, start, size }) => [number, start, size])).toEqual([
      [4, 24 * MiB, 10 * MiB + 512],
      [5, 35 * MiB, 4 * MiB],
    ]);
    expect(result.deviceSize).toBe(40 * MiB);
    expect(result.stale).toEqual([
      { start: 32 * MiB - 33 * 512, end: 32 * MiB - 512 },
      { start: 32 * MiB - 512, end: 32 * MiB },
    ]);
    // Boot code, and the entries of the vendor, byte for byte.
    expect(await bytesOf(result.path, 0, 446)).toEqual(await bytesOf(path, 0, 446));
    expect(await bytesOf(result.path, 1024, 3 * 128)).toEqual(await bytesOf(path, 1024, 3 * 128));
  });

  itNeeds('sfdisk', 'sgdisk')('keeps the size of a device that is large enough', async () => {
    const path = await sfdiskImage(fresh(), 64 * MiB, script);
    const result = await appendTo(path, NEWS, { alignment: 4 * MiB });
    await expectSound(result);
    expect(result.deviceSize).toBe(64 * MiB);
    expect(result.stale).toEqual([]);
    expect(result.added[1]!.start % (4 * MiB)).toBe(0);
  });

  itNeeds('sfdisk', 'sgdisk')('uses the lowest free numbers, and keeps bytes that it does not know', async () => {
    const path = await sfdiskImage(
      fresh(),
      32 * MiB,
      'label: gpt\n1: start=1MiB,size=1MiB\n3: start=2MiB,size=1MiB\n128: start=3MiB,size=1MiB\n',
    );
    // Boot code, and a byte behind the NUL of a partition's name.
    await overwrite(path, 10, Buffer.from('boot code'));
    const entry = await bytesOf(path, 1024, 128);
    expect(entry[126]).toBe(0);
    await runProgram('sgdisk', ['--change-name=1:abc', path]);
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.added.map(({ number }) => number)).toEqual([2, 4]);
    expect(await bytesOf(result.path, 10, 9)).toEqual(Buffer.from('boot code'));
  });

  for (const slots of [4, 256]) {
    itNeeds('sfdisk', 'sgdisk')(`with a table of ${slots} entries`, async () => {
      const path = await sfdiskImage(fresh(), 32 * MiB, 'label: gpt\nstart=1MiB,size=1MiB\nstart=2MiB,size=1MiB\n');
      await runProgram('sgdisk', [`--resize-table=${slots}`, path]);
      const result = await appendTo(path, NEWS);
      expect(result.table.slots).toBe(slots);
      await expectSound(result);
    });
  }

  itNeeds('sfdisk', 'sgdisk')('with primary entries that are not in sector 2', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, 'label: gpt\nstart=4MiB,size=1MiB\n');
    await runProgram('sgdisk', ['--move-main-table=2048', path]);
    await overwrite(path, 1024, Buffer.from('a boot loader lies here'));
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect((await bytesOf(result.path, 1024, 23)).toString()).toBe('a boot loader lies here');
  });

  itNeeds('sfdisk', 'sgdisk')('mends a base image with one corrupt copy', async () => {
    for (const position of [512 + 20, 32 * MiB - 500]) {
      const path = await sfdiskImage(fresh(), 32 * MiB, script);
      await overwrite(path, position, Buffer.from([0xff, 0xff, 0xff]));
      const result = await appendTo(path, NEWS);
      expect(result.table.warnings).toHaveLength(1);
      await expectSound(result);
    }
  });

  itNeeds('fdisk', 'partx')('with 4096-byte sectors', async () => {
    const path = fresh();
    await writeFile(path, '');
    await truncate(path, 32 * MiB);
    await runProgram('fdisk', ['-b', '4096', path], { input: 'g\nn\n1\n\n+4M\nw\n' });
    const result = await appendTo(path, NEWS);
    const checked = await runProgram('fdisk', ['-b', '4096', result.path], { input: 'v\nq\n' });
    expect(checked.stdout.toString()).toMatch(/No errors detected[^]*Using 3 out of 128 partitions/);
    expect(checked.stderr).toBe('');
    const columns = ['-g', '-b', '-S', '4096', '-o', 'NR,START,SIZE,UUID,NAME'];
    const { stdout } = await runProgram('partx', [...columns, result.path]);
    const lines = result.table.partitions.map(({ number, start, size, partitionUuid, name }) =>
      [number, start / 512, size, partitionUuid, name ?? ''].join(' '),
    );
    expect(
      stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => line.trim().replace(/ +/g, ' ')),
    ).toEqual(lines.map((line) => line.trim()));
  });

  itNeeds('sfdisk', 'sgdisk')('keeps a hybrid MBR as it is', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, script);
    await runProgram('sgdisk', ['--hybrid=1:2', path]);
    const result = await appendTo(path, NEWS);
    expect(await bytesOf(result.path, 0, 512)).toEqual(await bytesOf(path, 0, 512));
    expect(await sfdiskTable(result.path)).toEqual(asSfdisk(result.table));
  });

  itNeeds('sfdisk')('refuses a table without room, and a UUID that is there', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, 'label: gpt\nstart=1MiB,size=1MiB\n');
    const table = await readTable(path);
    const full: PartitionTable = { ...table, slots: 2 };
    expect(() => appendPartitions(full, 32 * MiB, NEWS)).toThrow(
      'the GPT has 2 entries, 1 are used: 2 more do not fit',
    );
    const once = appendPartitions(table, 32 * MiB, NEWS);
    expect(() => appendPartitions(once.table, once.deviceSize, [STORE])).toThrow(/partition 2 .* already has the UUID/);
  });

  itNeeds('sfdisk')('does not lay a partition over vendor bytes behind the last one, when told of them', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, script);
    await overwrite(path, 26 * MiB + 700, Buffer.from('env'));
    const reader = await openFileReader(path);
    try {
      const table = await readTable(path);
      const after = await findDataEnd(reader, table);
      expect(after).toBe(26 * MiB + 703);
      expect(appendPartitions(table, reader.size, NEWS, { after }).added[0]!.start).toBe(27 * MiB);
    } finally {
      await reader.close();
    }
  });
});

describe('appendPartitions to an MBR', () => {
  itNeeds('sfdisk')('uses free primary entries', async () => {
    const path = await sfdiskImage(
      fresh(),
      32 * MiB,
      'label: dos\nlabel-id: 0xcafe0001\nstart=1MiB,size=2MiB,type=c,bootable\nstart=4MiB,size=4MiB\n',
    );
    await overwrite(path, 3, Buffer.from('boot code'));
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.added.map(({ number, start, partitionUuid }) => [number, start, partitionUuid])).toEqual([
      [3, 8 * MiB, 'cafe0001-03'],
      [4, 19 * MiB, 'cafe0001-04'],
    ]);
    expect(await bytesOf(result.path, 0, 446 + 32)).toEqual(await bytesOf(path, 0, 446 + 32));
  });

  const three = 'label: dos\nstart=1MiB,size=2MiB,type=c\nstart=4MiB,size=4MiB\nstart=8MiB,size=4MiB\n';
  itNeeds('sfdisk')('makes an extended partition in the last free entry', async () => {
    const path = await sfdiskImage(fresh(), 16 * MiB, three);
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.table.partitions.map(({ number, type }) => [number, type])).toEqual([
      [1, '0c'], [2, '83'], [3, '83'], [4, '0f'], [5, '83'], [6, '83'],
    ]); // prettier-ignore
    expect(result.added[0]!.start).toBe(13 * MiB);
  });

  const logical =
    'label: dos\nstart=1MiB,size=2MiB,type=c\nstart=4MiB,size=2MiB\nstart=6MiB,size=2MiB\nstart=8MiB,size=8MiB,type=f\nstart=9MiB,size=2MiB,type=83\nstart=12MiB,size=1MiB,type=82\n';
  itNeeds('sfdisk')('appends logical partitions to an extended one that is last, and grows it', async () => {
    const path = await sfdiskImage(fresh(), 16 * MiB, logical);
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.added.map(({ number, start }) => [number, start])).toEqual([
      [7, 14 * MiB],
      [8, 26 * MiB],
    ]);
    expect(result.table.partitions.find(({ number }) => number === 4)!.size).toBe(22 * MiB);
    // Of the vendor's records, the first is as it was, and the second has got a link.
    expect(await bytesOf(result.path, 8 * MiB, 512)).toEqual(await bytesOf(path, 8 * MiB, 512));
    expect(await bytesOf(result.path, 11 * MiB, 462)).toEqual(await bytesOf(path, 11 * MiB, 462));
  });

  itNeeds('sfdisk')('keeps the numbers of logical partitions that are not in the order of the disk', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, logical.replace('size=8MiB,type=f', 'size=20MiB,type=f'));
    // 5 at 9 MiB, 6 at 12 MiB, 7 at 20 MiB; without 6 and with a new one in its place, 7 comes before it in the chain.
    await runProgram('sfdisk', ['--append', '--quiet', path], { input: 'start=20MiB,size=1MiB\n' });
    await runProgram('sfdisk', ['--delete', '--quiet', path, '6'], {});
    await runProgram('sfdisk', ['--append', '--quiet', path], { input: 'start=14MiB,size=1MiB\n' });
    const before = await readTable(path);
    const starts = before.partitions.filter(({ number }) => number > 4).map(({ start }) => start);
    expect(starts).toEqual([9 * MiB, 20 * MiB, 14 * MiB]);
    await expectSound(await appendTo(path, NEWS));
  });

  itNeeds('sfdisk')('fills an extended partition that is empty', async () => {
    const script = `${three}start=12MiB,size=2MiB,type=5\n`;
    const path = await sfdiskImage(fresh(), 16 * MiB, script);
    const result = await appendTo(path, NEWS);
    await expectSound(result);
    expect(result.added.map(({ number, start }) => [number, start])).toEqual([
      [5, 13 * MiB],
      [6, 25 * MiB],
    ]);
    // Nothing at all where the first record would be.
    await overwrite(path, 12 * MiB, Buffer.alloc(512));
    await expectSound(await appendTo(path, NEWS));
  });

  itNeeds('sfdisk')('says what would work when nothing does', async () => {
    const four = await sfdiskImage(fresh(), 32 * MiB, `${three}start=14MiB,size=1MiB\n`);
    const error = await fault(appendTo(four, NEWS));
    expect(error.code).toBe('MBR_FULL');
    expect(error.message).toMatch(/4 of 4 primary partitions in use and none of them is an extended one: 2 more/);
    expect(error.message).toMatch(/a base image with a GPT/);

    const middle = await sfdiskImage(
      fresh(),
      32 * MiB,
      'label: dos\nstart=1MiB,size=2MiB\nstart=4MiB,size=8MiB,type=f\nstart=20MiB,size=2MiB\nstart=5MiB,size=1MiB\n',
    );
    expect((await fault(appendTo(middle, NEWS))).message).toContain(
      `its extended partition 2 ends at byte ${12 * MiB}, before partition 3 does (${22 * MiB})`,
    );
  });

  itNeeds('sfdisk')('refuses to go beyond 2 TiB', async () => {
    const path = await sfdiskImage(fresh(), 16 * MiB, 'label: dos\nstart=1MiB,size=2MiB\n');
    const table = await readTable(path);
    const size = 2 ** 41;
    expect(() => appendPartitions(table, 16 * MiB, [{ ...STORE, size }])).toThrow(
      `the new partitions end at byte ${size + 3 * MiB}, an MBR with 512-byte sectors reaches to ${size}`,
    );
  });
});

describe('UUIDs and types', () => {
  itNeeds('python3')('derives the UUID that Python does', async () => {
    const namespace = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
    for (const name of ['boxship-store', 'größe', '']) {
      const { stdout } = await runProgram('python3', [
        '-c',
        'import sys, uuid; print(uuid.uuid5(uuid.UUID(sys.argv[1]), sys.argv[2]))',
        namespace,
        name,
      ]);
      expect(uuidFrom(namespace, name)).toBe(stdout.toString().trim());
    }
  });

  itNeeds('sfdisk')('has the root types that sfdisk knows', async () => {
    const { stdout } = await runProgram('sfdisk', ['--label', 'gpt', '-T']);
    const known = stdout.toString().toLowerCase();
    const names = { '386': 'x86', amd64: 'x86-64', arm: 'arm', arm64: 'arm-64', loong64: 'loongarch-64', ppc64le: 'ppc64le', riscv64: 'risc-v-64', s390x: 's390x' }; // prettier-ignore
    expect(Object.keys(ROOT_PARTITION_TYPES).sort()).toEqual(Object.keys(names).sort());
    for (const [architecture, name] of Object.entries(names)) {
      expect(known).toContain(`${ROOT_PARTITION_TYPES[architecture]}  linux root (${name})\n`);
    }
  });

  it('refuses a namespace that is no UUID', () => {
    expect(() => uuidFrom('nonsense', 'a')).toThrow('not a UUID');
  });
});

it('leaves the base image untouched', async () => {
  const path = fresh();
  await writeFile(path, Buffer.alloc(MiB));
  await fault(appendTo(path, NEWS));
  expect((await readFile(path)).equals(Buffer.alloc(MiB))).toBe(true);
});
