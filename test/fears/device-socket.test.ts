import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { generateKeyPair, parsePublicKey } from 'cosign-node-binding';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { exists, fearProduct, PASSWORD, refusal } from './fear-product.ts';

const FILES = ['socket.json', 'socket.env', 'store.pem'].map((name) => `usr/lib/boxship/${name}`);

/** The files of a device socket that tell which it is, as compose makes them and as debugfs sees them. */
let socket: Record<string, string>;
beforeAll(async () => {
  await using product = await fearProduct();
  await product.lock();
  const [plan] = await product.plan();
  expect(plan!.rootfs.changes.map(({ path }) => path)).toEqual(expect.arrayContaining(FILES.map((path) => `/${path}`)));
  const [composed] = await product.compose();
  const image = composed!.release.files.map(({ name }) => name).find((name) => !name.endsWith('.bmap'))!;
  const disk = `${join(composed!.folder, image)}?offset=${ROOTFS_START}`;
  socket = {};
  for (const path of FILES)
    socket[path] = (await runProgram('debugfs', ['-R', `cat /${path}`, disk])).stdout.toString();
});

describe('a base image that has a device socket', () => {
  it('for this very product is left as it is', async () => {
    await using product = await fearProduct({ base: { files: socket } });
    await product.lock();
    expect((await product.plan())[0]!.rootfs.changes).toEqual([]);
  });

  it('with another key is refused, naming both', async () => {
    const other = (await generateKeyPair({ password: PASSWORD })).publicKeyPem;
    await using product = await fearProduct({ base: { files: { ...socket, 'usr/lib/boxship/store.pem': other } } });
    await product.lock();
    const error = await refusal(product.compose());
    expect(error.problems.map(({ code }) => code)).toEqual(['SOCKET_MISMATCH']);
    expect(error.message).toContain(parsePublicKey(other).keyId);
    expect(error.message).toContain(parsePublicKey(product.keys.publicKeyPem).keyId);
    expect(await exists(product.out)).toBe(false);
  });

  it('for other file systems and another table is refused, naming all of it', async () => {
    const [uuid] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(socket['usr/lib/boxship/socket.env']!)!;
    const foreign = '12345678-2222-4333-8444-555555555555';
    const env = socket['usr/lib/boxship/socket.env']!.replace(uuid, foreign).replace('=gpt', '=mbr');
    await using product = await fearProduct({ base: { files: { ...socket, 'usr/lib/boxship/socket.env': env } } });
    await product.lock();
    const { problems } = await refusal(product.plan());
    expect(problems.map(({ code }) => code)).toEqual(['SOCKET_MISMATCH', 'SOCKET_MISMATCH']);
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('the partition table: mbr there, and gpt here') as string,
      expect.stringContaining(`the UUID of the store: ${foreign} there, and ${uuid} here`) as string,
    ]);
  });

  it('for another engine is refused; one that serves more engines is not', async () => {
    const path = 'usr/lib/boxship/socket.env';
    const binds = (units: string) => socket[path]!.replace(/^BOXSHIP_BINDS="(.*)"$/m, `BOXSHIP_BINDS="${units}"`);
    await using other = await fearProduct({ base: { files: { ...socket, [path]: binds('var-lib-other.mount') } } });
    await other.lock();
    const { problems } = await refusal(other.plan());
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining(
        'the mounts of the engine: var-lib-other.mount there, and var-lib-docker.mount var-lib-docker-volumes.mount',
      ) as string,
    ]);
    await using more = await fearProduct({ base: { files: { ...socket, [path]: binds('var-lib-other.mount $1') } } });
    await more.lock();
    expect((await more.plan())[0]!.rootfs.changes).toEqual([]);
  });

  it('of which little is left is refused', async () => {
    await using product = await fearProduct({
      base: { files: { 'usr/lib/boxship/socket.json': socket['usr/lib/boxship/socket.json']! } },
    });
    await product.lock();
    expect((await refusal(product.plan())).problems).toHaveLength(5);
  });
});

it('a change behind a link of the base image is listed where it lands, with its reason', async () => {
  const files = { 'var/lib/docker/.keep': undefined, 'var/lib': '-> ../data', 'data/.keep': '' };
  await using product = await fearProduct({ base: { files } });
  await product.lock();
  const { changes } = (await product.plan())[0]!.rootfs;
  expect(changes).toContainEqual({
    path: '/data/docker',
    action: 'add',
    why: 'a mount point; it must exist where the root is read-only',
  });
});
