import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { MiB, UserError } from '@boxship/model';
import { asSfdisk, itNeeds, overwrite, readTable, sfdiskImage, sfdiskTable } from './test-disks.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-disk-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let count = 0;
const fresh = () => join(folder, `${++count}.img`);

const GPT = `label: gpt
start=1MiB, size=4MiB, type=uefi, name="EFI system", attrs="RequiredPartition"
start=8MiB, size=16MiB, type=linux, name="root – größe", attrs="GUID:59,60"
start=5MiB, size=1MiB, type=linux
`;
const MBR = `label: dos
label-id: 0x1234abcd
start=1MiB, size=2MiB, type=c, bootable
start=4MiB, size=4MiB, type=83
start=10MiB, size=20MiB, type=f
start=11MiB, size=2MiB, type=83
start=14MiB, size=3MiB, type=82
start=20MiB, size=1MiB, type=83
`;

async function fault(path: string): Promise<UserError> {
  return await readTable(path).then(
    () => expect.fail('the table was read'),
    (error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    },
  );
}

/** Flips the lowest bit of a byte. */
async function damage(path: string, position: number): Promise<void> {
  const byte = (await readFile(path))[position]!;
  await overwrite(path, position, Buffer.from([byte ^ 1]));
}

describe('readPartitionTable', () => {
  itNeeds('sfdisk')('reads a GPT as sfdisk does', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
    const table = await readTable(path);
    expect(asSfdisk(table)).toEqual(await sfdiskTable(path));
    expect(table.sectorSize).toBe(512);
    expect(table.warnings).toEqual([]);
    // Bits 0, 59 and 60 (UEFI 2.10, table 5-8; Discoverable Partitions Specification).
    expect(table.partitions.map(({ attributes }) => attributes)).toEqual([1n, (1n << 59n) | (1n << 60n), 0n]);
    expect(table.metadata).toEqual({
      primary: [
        { start: 0, end: 512 },
        { start: 512, end: 1024 },
        { start: 1024, end: 1024 + 16384 },
      ],
      backup: [
        { start: 32 * MiB - 512 - 16384, end: 32 * MiB - 512 },
        { start: 32 * MiB - 512, end: 32 * MiB },
      ],
    });
  });

  itNeeds('fdisk', 'partx')('finds 4096-byte sectors, and reads what partx reads', async () => {
    const path = fresh();
    await writeFile(path, '');
    await truncate(path, 64 * MiB);
    await runProgram('fdisk', ['-b', '4096', path], { input: 'g\nn\n1\n\n+4M\nn\n2\n\n+8M\nw\n' });
    const table = await readTable(path);
    expect(table.sectorSize).toBe(4096);
    const { stdout } = await runProgram('partx', ['-s', '-g', '-b', '-S', '4096', '-o', 'NR,START,SIZE,UUID', path]);
    const lines = table.partitions.map(({ number, start, size, partitionUuid }) =>
      [number, start / 512, size, partitionUuid].join(' '),
    );
    expect(lines).toEqual(
      stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => line.trim().replace(/ +/g, ' ')),
    );
  });

  itNeeds('sfdisk')('reads an MBR and its logical partitions as sfdisk does', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, MBR);
    const table = await readTable(path);
    expect(asSfdisk(table)).toEqual(await sfdiskTable(path));
    expect(table.partitions.map(({ number, partitionUuid }) => [number, partitionUuid])).toEqual(
      [1, 2, 3, 5, 6, 7].map((number) => [number, `1234abcd-0${number}`]),
    );
    expect(table.partitions[0]!.attributes).toBe(0x80n);
  });

  itNeeds('sfdisk', 'mkfs.ext4')('finds 4096-byte sectors of an MBR by its file systems', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, 'label: dos\nstart=256, size=1024, type=83\n');
    await runProgram('mkfs.ext4', ['-q', '-E', `offset=${256 * 4096}`, path, '4M']);
    const table = await readTable(path);
    expect(table.sectorSize).toBe(4096);
    expect(table.partitions[0]).toMatchObject({ start: 256 * 4096, size: 1024 * 4096 });
  });

  describe('a GPT with one sound copy is read, with a warning', () => {
    const cases: [string, number[], string][] = [
      ['primary header', [512 + 56], 'GPT_PRIMARY_CORRUPT'],
      ['primary signature', [512], 'GPT_PRIMARY_CORRUPT'],
      ['primary entries', [1024 + 128], 'GPT_PRIMARY_CORRUPT'],
      ['backup header', [32 * MiB - 512 + 56], 'GPT_BACKUP_CORRUPT'],
      ['backup signature', [32 * MiB - 512], 'GPT_BACKUP_CORRUPT'],
      ['backup entries', [32 * MiB - 512 - 16384], 'GPT_BACKUP_CORRUPT'],
    ];
    for (const [what, positions, code] of cases) {
      itNeeds('sfdisk')(what, async () => {
        const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
        const sound = await readTable(path);
        for (const position of positions) await damage(path, position);
        const table = await readTable(path);
        expect(table.partitions).toEqual(sound.partitions);
        expect(table.diskId).toBe(sound.diskId);
        expect(table.warnings.map((warning) => warning.code)).toEqual([code]);
        expect(table.warnings[0]!.message).toMatch(/checksum is 0x[0-9a-f]{8}|no "EFI PART" at byte \d+/);
      });
    }
    itNeeds('sfdisk')('a backup that was cut off', async () => {
      const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
      await truncate(path, 24 * MiB);
      const table = await readTable(path);
      expect(table.warnings.map((warning) => warning.message)).toEqual([
        `the backup GPT is missing: the base image is ${24 * MiB} bytes, its table says ${32 * MiB}`,
      ]);
    });
    itNeeds('sfdisk')('a backup that names other partitions', async () => {
      const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
      const other = await sfdiskImage(fresh(), 32 * MiB, GPT.replaceAll('size=4MiB', 'size=3MiB'));
      await overwrite(path, 32 * MiB - 33 * 512, (await readFile(other)).subarray(32 * MiB - 33 * 512));
      expect((await readTable(path)).warnings.map(({ code }) => code)).toEqual(['GPT_COPIES_DIFFER']);
    });
  });

  itNeeds('sfdisk')('refuses a GPT whose two copies are corrupt, and says which check failed', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
    await damage(path, 512 + 56);
    await damage(path, 32 * MiB - 512 - 16384);
    const error = await fault(path);
    expect(error.code).toBe('GPT_CORRUPT');
    expect(error.message).toMatch(/primary: header checksum is 0x\w{8}.*; backup: entries checksum is 0x\w{8}/);
  });

  itNeeds('sfdisk')('refuses a GPT with a strange entry size', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
    const disk = await readFile(path);
    for (const position of [512, 32 * MiB - 512]) {
      const header = disk.subarray(position, position + 92);
      header.writeUInt32LE(136, 84);
      header.writeUInt32LE(0, 16);
      header.writeUInt32LE(crc32(header), 16);
    }
    await writeFile(path, disk);
    const error = await fault(path);
    expect(error.message).toContain('entry size 136 is not 128 times a power of two');
  });

  itNeeds('sfdisk')('refuses an image that is shorter than its table says', async () => {
    for (const script of [GPT, MBR]) {
      const path = await sfdiskImage(fresh(), 32 * MiB, script);
      await truncate(path, 20 * MiB);
      const error = await fault(path);
      expect(error.code).toBe('IMAGE_TRUNCATED');
      const end = script === GPT ? 24 * MiB : 30 * MiB;
      expect(error.message).toContain(`the base image is ${20 * MiB} bytes, its table says ${end}`);
    }
  });

  itNeeds('sfdisk')('refuses overlapping partitions, with both places', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, 'label: dos\nstart=1MiB,size=4MiB\nstart=6MiB,size=2MiB\n');
    await overwrite(path, 446 + 16 + 8, Buffer.from(new Uint32Array([4 * 2048]).buffer));
    const error = await fault(path);
    expect(error.code).toBe('PARTITIONS_OVERLAP');
    expect(error.message).toContain(
      `partitions 1 (bytes ${MiB}..${5 * MiB}) and 2 (bytes ${4 * MiB}..${6 * MiB}) overlap`,
    );
  });

  itNeeds('sfdisk')('refuses a chain of logical partitions that loops or breaks', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, MBR);
    // Second entry of the second record (13 MiB, relative to 10 MiB): back to the first.
    const at = 13 * MiB + 446 + 16 + 8;
    await overwrite(path, at, Buffer.from(new Uint32Array([0]).buffer));
    expect((await fault(path)).message).toContain(`partition 3 runs in a loop (at byte ${10 * MiB})`);
    await overwrite(path, at, Buffer.from(new Uint32Array([1]).buffer));
    expect((await fault(path)).message).toContain(
      `has a record without the signature 55 aa (at byte ${10 * MiB + 512})`,
    );
    await overwrite(path, at, Buffer.from(new Uint32Array([0x7fffffff]).buffer));
    expect((await fault(path)).code).toBe('MBR_CHAIN_BROKEN');
  });

  itNeeds('sfdisk', 'sgdisk')('reads a hybrid MBR as GPT, and says so', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
    await runProgram('sgdisk', ['--hybrid=1:2', path]);
    const table = await readTable(path);
    expect(asSfdisk(table)).toEqual(await sfdiskTable(path));
    expect(table.warnings.map(({ code }) => code)).toEqual(['GPT_HYBRID_MBR']);
  });

  itNeeds('sfdisk')('takes the MBR when a stale GPT is beside it, as Linux does', async () => {
    const path = await sfdiskImage(fresh(), 32 * MiB, GPT);
    const other = await sfdiskImage(fresh(), 32 * MiB, 'label: dos\nstart=1MiB,size=4MiB\n');
    await overwrite(path, 0, (await readFile(other)).subarray(0, 512));
    const table = await readTable(path);
    expect(table.type).toBe('mbr');
    expect(table.warnings.map(({ code }) => code)).toEqual(['MBR_WITH_STALE_GPT']);
  });

  it('refuses what has no table: zeros, a tiny file', async () => {
    const path = fresh();
    await writeFile(path, Buffer.alloc(MiB));
    expect((await fault(path)).code).toBe('NO_PARTITION_TABLE');
    await writeFile(path, Buffer.alloc(700));
    expect((await fault(path)).code).toBe('IMAGE_TOO_SMALL');
  });

  itNeeds('mkfs.vfat')('refuses the image of a single FAT file system', async () => {
    const path = fresh();
    await writeFile(path, Buffer.alloc(8 * MiB));
    await runProgram('mkfs.vfat', [path]);
    const error = await fault(path);
    expect(error.code).toBe('NO_PARTITION_TABLE');
    expect(error.message).toContain('a bare FAT or NTFS volume');
  });
});
