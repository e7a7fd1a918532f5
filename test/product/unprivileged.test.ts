import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { boxship, digestsOf, moveSample, PASSWORD, readSampleRelease, type SampleProduct } from './sample-product.ts';

// Promise 4: no step needs root, a daemon, a loop device or, after `lock`, the network.

const product = inject('product');
const NOBODY = '65534';
let folder = '';
let own: SampleProduct;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'unprivileged-'));
  await chmod(folder, 0o755);
  own = await moveSample(product, join(folder, 'work'));
  await boxship(own, 'lock');
  if (process.getuid?.() === 0) await runProgram('chown', ['-R', `${NOBODY}:${NOBODY}`, own.folder]);
  await mkdir(join(folder, 'home'), { mode: 0o555 });
  await mkdir(join(folder, 'tmp'));
  await chmod(join(folder, 'tmp'), 0o1777);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a script as nobody, without network and, where root can arrange it, with a /dev that has no disks. */
async function asNobody(script: string) {
  const outer = `
mount -t tmpfs -o mode=755 tmpfs /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/random c 1 8
exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`;
  const isolation =
    process.getuid?.() === 0
      ? ['--mount', '--net', '--ipc', '--', 'sh', '-ec', outer, 'sh']
      : ['--user', '--map-current-user', '--net', '--'];
  const env = [`HOME=${join(folder, 'home')}`, `TMPDIR=${join(folder, 'tmp')}`, `COSIGN_PASSWORD=${PASSWORD}`];
  const command = ['env', '-i', ...env, process.execPath, own.program, '--cache', join(own.folder, 'cache')];
  return await runProgram('unshare', [...isolation, 'sh', '-ec', script, 'sh', ...command], { cwd: own.folder });
}

describe('as an ordinary user without network, /dev/loop*, a home to write to or an environment', () => {
  it('plans and composes, the same bytes as root does', async () => {
    const { stdout } = await asNobody(
      'id -u; ls /dev | tr "\\n" " "; tail -n +3 /proc/net/dev | cut -d: -f1; touch "$HOME/x" 2>/dev/null && echo home is writable; "$@" --quiet plan; "$@" --quiet compose --variant pro',
    );
    if (process.getuid?.() === 0) expect(stdout.toString()).toMatch(/^65534\nnull random urandom zero\s+lo\n/);
    expect(stdout.toString()).not.toContain('writable');
    const expected = await digestsOf((await readSampleRelease(product.folder, 'pro')).folder);
    expect(await digestsOf((await readSampleRelease(own.folder, 'pro')).folder)).toEqual(expected);
  });

  it('verifies what it made', async () => {
    const { folder: release } = await readSampleRelease(own.folder, 'pro');
    await asNobody(`"$@" verify '${release}' --key keys/release.pub`);
  });
});
