import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { UserError } from '@boxship/model';
import { readUpdate } from './index.ts';

// Each sample is made by a program that knows nothing of ours: cpio archives by cpio, CMS by openssl, tar by GNU tar.

let folder = '';
const at = (name: string) => join(folder, name);
const MANIFEST = '[update]\ncompatible=acme\nversion=1.0\n';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-updates-'));
  await mkdir(at('swu'));
  await writeFile(at('swu/sw-description'), 'software = { version = "1.0"; };\n');
  await writeFile(at('swu/store.ext4.gz'), Buffer.alloc(70_001, 7));
  await runProgram('cpio', ['-o', '-H', 'newc', '--quiet', '-O', at('a.swu')], { cwd: at('swu'), input: 'sw-description\nstore.ext4.gz\n' }); // prettier-ignore

  await runProgram('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x', '-keyout', at('k.pem'), '-out', at('c.pem')]); // prettier-ignore
  await writeFile(at('manifest.raucm'), MANIFEST);
  await runProgram('openssl', ['cms', '-sign', '-binary', '-nodetach', '-in', at('manifest.raucm'), '-signer', at('c.pem'), '-inkey', at('k.pem'), '-outform', 'DER', '-out', at('cms')]); // prettier-ignore
  const cms = await readFile(at('cms'));
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(cms.length));
  const squashfs = Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(8188, 1)]);
  await writeFile(at('a.raucb'), Buffer.concat([squashfs, cms, length]));

  await mkdir(at('mender/data'), { recursive: true });
  await writeFile(at('mender/version'), '{"format":"mender","version":3}');
  await writeFile(at('mender/header-info'), '{"artifact_provides":{"artifact_name":"acme-1"}}');
  await runProgram('tar', ['--format=ustar', '-czf', 'header.tar.gz', 'header-info'], { cwd: at('mender') });
  await writeFile(at('mender/data/0000.tar.gz'), Buffer.alloc(5000, 3));
  await runProgram('tar', ['--format=ustar', '-cf', at('a.mender'), 'version', 'header.tar.gz', 'data/0000.tar.gz'], { cwd: at('mender') }); // prettier-ignore
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('readUpdate', () => {
  it('shows a .swu, a RAUC bundle and an artifact of Mender by what they say of themselves', async () => {
    expect(await readUpdate(at('a.swu'))).toEqual({
      format: 'swupdate',
      content: {
        description: 'software = { version = "1.0"; };\n',
        members: [{ name: 'store.ext4.gz', size: 70_001 }],
      },
    });
    expect(await readUpdate(at('a.raucb'))).toMatchObject({
      format: 'rauc',
      content: { description: MANIFEST, members: [{ name: 'squashfs', size: 8192 }, { name: 'signature' }] },
    });
    expect(await readUpdate(at('a.mender'))).toMatchObject({
      format: 'mender',
      content: { description: '{"artifact_provides":{"artifact_name":"acme-1"}}', members: [{ name: 'version' }, { name: 'header.tar.gz' }, { name: 'data/0000.tar.gz', size: 5000 }] }, // prettier-ignore
    });
  });

  it('leaves to others what is no update: a squashfs, another cpio, another tar, nothing much', async () => {
    await writeFile(at('plain.squashfs'), Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(8188)]));
    await runProgram('cpio', ['-o', '-H', 'newc', '--quiet', '-O', at('other.cpio')], { cwd: at('swu'), input: 'store.ext4.gz\n' }); // prettier-ignore
    await runProgram('tar', ['-cf', at('other.tar'), 'sw-description'], { cwd: at('swu') });
    await writeFile(at('tiny'), '070701');
    for (const name of ['plain.squashfs', 'other.cpio', 'other.tar', 'tiny']) expect(await readUpdate(at(name))).toBeUndefined(); // prettier-ignore
  });

  it('takes whatever is cut off or damaged for an error or for nothing, never for a defect', async () => {
    for (const name of ['a.swu', 'a.raucb', 'a.mender']) {
      const whole = await readFile(at(name));
      let seed = 7;
      const random = (below: number) => (seed = (seed * 48_271) % 0x7fffffff) % below;
      for (let round = 0; round < 60; round++) {
        const bytes = round % 2 === 0 ? Buffer.from(whole.subarray(0, random(whole.length))) : Buffer.from(whole);
        // in the first part, where headers and descriptions are, and in the last, where the signature is
        if (round % 2 === 1) bytes[round % 4 === 1 ? random(2000) : whole.length - 1 - random(900)] = random(256);
        await writeFile(at('damaged'), bytes);
        const result = await readUpdate(at('damaged')).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(UserError);
      }
    }
  });
});
