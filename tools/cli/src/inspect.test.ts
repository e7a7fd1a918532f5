import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { buildProgram, type BuiltProgram } from './testing/built-program.ts';
import { formatInspection } from './inspect-report.ts';

let program: BuiltProgram;
beforeAll(async () => {
  program = await buildProgram();
  const tree = join(program.folder, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  await writeFile(join(tree, 'etc/os-release'), 'PRETTY_NAME="Acme \u001b]0;owned\u0007OS"\nID=acme\n');
  await writeFile(join(tree, 'store.json'), '{ "kind": "boxship-store", "product": "acme", "images": [] }');
  await runProgram('mke2fs', ['-q', '-t', 'ext4', '-d', tree, join(program.folder, 'store.ext4'), '8M']);
});
afterAll(async () => {
  await program[Symbol.asyncDispose]();
});

describe('boxship inspect', () => {
  it('needs no product file, and prints one document with --json', async () => {
    const { code, stdout, stderr } = await program.run(['inspect', 'store.ext4', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      inspectVersion: 1,
      path: 'store.ext4',
      kind: 'filesystem',
      filesystem: { kind: 'ext4', store: { product: 'acme', signature: 'missing' } },
    });
  });

  it('ends with 3 when a key is given and a signature does not hold', async () => {
    await program.run(['keygen', '--development', '--output-key-prefix', 'k'], { COSIGN_PASSWORD: 'x' });
    const { code, stdout } = await program.run(['inspect', 'store.ext4', '--key', 'k.pub']);
    expect(code).toBe(3);
    expect(stdout).toContain('signature missing');
  });

  it('says what it knows when it is given something else', async () => {
    await program.write('note.txt', 'hello\n'.repeat(1000));
    const { code, stderr } = await program.run(['inspect', 'note.txt']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/note\.txt is nothing that Boxship reads or writes[^]*Known: base images/);
  });
});

describe('the tree', () => {
  it('has a branch for every part', async () => {
    const text = formatInspection({
      inspectVersion: 1,
      path: 'acme.img',
      kind: 'disk',
      format: 'raw',
      size: 64 * 2 ** 20,
      problems: [{ code: 'GPT_BACKUP', message: 'the backup GPT is gone', hint: 'sgdisk -e mends it' }],
      devices: [
        {
          name: 'disk',
          size: 64 * 2 ** 20,
          table: 'gpt',
          sectorSize: 4096,
          diskId: 'x',
          partitions: [
            {
              number: 1,
              name: 'rootfs',
              start: 2 ** 20,
              size: 2 ** 25,
              type: 'x',
              uuid: 'y',
              problems: [],
              filesystem: {
                kind: 'ext4',
                label: 'ROOT',
                size: 2 ** 25,
                free: 2 ** 24,
                system: {
                  name: 'Acme OS 1',
                  init: 'systemd',
                  systemdVersion: 255,
                  kernelVersion: '6.6.1',
                  kernelArchitecture: 'arm64',
                  ostree: true,
                  readOnlyRoot: true,
                  engines: [{ name: 'podman', program: '/usr/bin/podman' }],
                  stores: [
                    {
                      engine: 'podman',
                      folder: '/var/lib/containers/storage',
                      images: [{ names: ['a:1', 'b:1'], id: `sha256:${'1'.repeat(64)}`, platform: 'linux/arm64', layers: 2 }],
                      problems: [],
                    },
                  ],
                },
              },
            },
            { number: 2, problems: [{ code: 'X', message: 'cannot be read' }] },
          ],
        },
      ],
    });
    await expect(text).toMatchFileSnapshot('golden/inspect.txt');
  }); // prettier-ignore

  it('lets no control character of a file reach the terminal', async () => {
    const text = formatInspection({
      inspectVersion: 1,
      path: 'x.ext4',
      kind: 'filesystem',
      format: 'ext4',
      problems: [],
      filesystem: {
        kind: 'ext4',
        label: 'a\u001b[2Jb',
        system: { name: 'Acme \u202eOS\u0007', engines: [], stores: [] },
      },
    });
    expect(text).toBe('x.ext4: file system, ext4\n└─ ext4, "a\ufffd[2Jb"\n   └─ Acme \ufffdOS\ufffd\n');
  });
});
