import { mkdir, readFile, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  composeProduct,
  openProduct,
  rebase,
  storeProduct,
  updateApps,
  verifyRelease,
  type Release,
} from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { describe, expect, it } from 'vitest';
import { refusal } from './fear-product.ts';
import { payloadByTools } from './payload-by-tools.ts';
import { teziProduct } from './tezi-product.ts';

describe('a base image for Toradex Easy Installer', () => {
  it('gets the store that boxship store writes, byte for byte, wherever its bytes come from', async () => {
    await using product = await teziProduct();
    await product.lock();
    const [plan] = await product.plan();
    const [composed] = await product.compose();
    expect(composed!.release.files.map(({ name }) => name)).toEqual(plan!.files);
    expect(composed!.release.partitions.map(({ number, role, start }) => [number, role, start])).toEqual([
      [1, 'rootfs', undefined], [2, 'store', undefined], [3, 'data', undefined],
    ]); // prettier-ignore
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const [stored] = await storeProduct(open, {}, { out: product.path('store'), compression: 'none' });
    const { file, digest } = stored!.bundle.partitions.store;
    expect(stored!.bundle.device).toBe('base-image');
    await mkdir(product.path('unpacked'));
    const archive = join(composed!.folder, plan!.files[0]!);
    const payload = composed!.release.files[0]!.payload!;
    expect(payload.parts.map(({ name }) => name)).toEqual(['image.json', 'boxship-data.tar', 'store']);
    expect(await payloadByTools(archive, payload)).toBe(payload.digest);
    await runProgram('tar', ['-C', product.path('unpacked'), '--strip-components=1', '-xf', archive]);
    const image = product.path('unpacked/boxship-store.img');
    await runProgram('cmp', [image, join(stored!.folder, file.name)]);
    const { stdout } = await runProgram('sha256sum', [image]);
    expect(`sha256:${stdout.toString().slice(0, 64)}`).toBe(digest);
    await runProgram('e2fsck', ['-fn', image]);
  });

  it('is composed from its archive as from its folder', async () => {
    await using product = await teziProduct();
    await runProgram('sh', ['-ec', 'mv tezi Tiny-Tezi_1 && tar -cf tiny.tar Tiny-Tezi_1'], { cwd: product.folder });
    await product.edit('boxship.yaml', (text) => text.replace('./tezi', './tiny.tar'));
    await product.lock();
    const [composed] = await product.compose();
    await mkdir(product.path('unpacked'));
    const archive = join(composed!.folder, composed!.release.files[0]!.name);
    await runProgram('tar', ['-C', product.path('unpacked'), '--strip-components=1', '-xf', archive]);
    await runProgram('cmp', [product.path('unpacked/rootfs.tar.xz'), product.path('Tiny-Tezi_1/rootfs.tar.xz')]);
    expect((await readdir(product.path('unpacked'))).sort()).toEqual([
      'boxship-data.tar', 'boxship-socket.tar', 'boxship-store.img', 'image.json', 'prepare.sh', 'rootfs.tar.xz',
    ]); // prettier-ignore
  });

  it('that was changed after lock is refused, whichever of its files it is', async () => {
    await using product = await teziProduct();
    await product.lock();
    await product.write('tezi/prepare.sh', 'another script\n');
    expect((await refusal(product.plan())).code).toBe('BASE_CHANGED');
  });

  it('is refused where its files or fields are wrong, and nothing is written', async () => {
    await using product = await teziProduct();
    await product.edit('tezi/image.json', (text) => text.replace('"emmc"', '"emmc", "content": {}'));
    const wrong = await refusal(product.lock().then(() => product.plan()));
    expect(wrong.message).toMatch(/tezi\/image\.json:\d+:\d+: the device "emmc" has both "partitions" and "content"/);
    await product.edit('tezi/image.json', (text) => text.replace(', "content": {}', ''));
    await unlink(product.path('tezi/prepare.sh'));
    const absent = await refusal(product.lock().then(() => product.compose()));
    expect(absent.message).toMatch(/tezi\/image\.json:\d+:\d+: image\.json names prepare\.sh, which is not beside it/);
    expect(await product.outputs()).toEqual({});
  });

  it('is refused with an OSTree deployment', async () => {
    await using ostree = await teziProduct({ ostree: true });
    await ostree.lock();
    expect((await refusal(ostree.plan())).message).toMatch(/OSTree/);
  });

  it('leaves no artifact when the run is interrupted', async () => {
    await using product = await teziProduct();
    await product.lock();
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const stop = new AbortController();
    const run = composeProduct(
      { ...open, progress: { ...silent, start: (label) => (stop.abort(new Error(`stopped: ${label}`)), silent.start(label)) } },
      {},
      { out: product.out, signal: stop.signal },
    ); // prettier-ignore
    await expect(run).rejects.toThrow(/stopped/);
    expect(await product.outputs()).toEqual({});
    expect(await readFile(product.path('tezi/prepare.sh'), 'utf8')).toBe('script\n');
  });

  it('has one half exchanged: new apps, or a new base, and the other half as it was', async () => {
    await using product = await teziProduct();
    await product.edit('boxship.yaml', (text) => text.replace('[tezi]', '[tezi: { license: ./eula.txt }]'));
    await product.lock();
    expect((await refusal(product.plan())).message).toMatch(
      /boxship\.yaml:14:13: \.\/eula\.txt of artifacts, tezi, license is not there/,
    );
    await product.write('eula.txt', 'yours\n');
    const [old] = await product.compose();
    expect(old!.release.files[0]!.payload!.parts.map(({ name }) => name)).toEqual(['image.json', 'boxship-license.txt', 'boxship-data.tar', 'store']); // prettier-ignore
    const byTools = async (folder: string, release: Release) => {
      const [{ name, payload }] = release.files as unknown as readonly [Release['files'][0]];
      expect(payload!.parts).toHaveLength(4);
      expect(await payloadByTools(join(folder, name), payload!)).toBe(payload!.digest);
      return Object.fromEntries(payload!.parts.map((part) => [part.name, part.digest]));
    };
    await product.edit('boxship.yaml', (text) => text.replace('version: 1.0.0', 'version: 2.0.0'));
    await product.edit('app/compose.yaml', (text) => `${text}    environment: { MORE: "1" }\n`);
    await product.lock();
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const unpack = async (folder: string, name: string) => {
      await mkdir(product.path(name));
      const [archive] = (await readdir(folder)).filter((one) => one.endsWith('.tar'));
      await runProgram('tar', ['-C', product.path(name), '--strip-components=1', '-xf', join(folder, archive!)]);
      return product.path(name);
    };
    const was = await unpack(old!.folder, 'was');
    const differing = async (a: string, b: string) => {
      const { stdout } = await runProgram('diff', ['-rq', a, b], { accept: [0, 1] });
      return [...stdout.toString().matchAll(/^Files \S+\/(\S+) and|^Only in \S+: (\S+)$/gm)].map(
        ([, one, other]) => one ?? other,
      );
    };
    const updated = await updateApps(open, old!.folder, { out: product.out });
    await verifyRelease(updated.folder, product.keys.publicKeyPem);
    const apps = await unpack(updated.folder, 'apps');
    const payloads = [await byTools(old!.folder, old!.release), await byTools(updated.folder, updated.release!)];
    expect(payloads[1]!['store']).not.toBe(payloads[0]!['store']);
    expect(payloads[1]!['boxship-data.tar']).toBe(payloads[0]!['boxship-data.tar']);
    expect(await differing(was, apps)).toEqual(['boxship-store.img', 'image.json']);
    await runProgram('e2fsck', ['-fn', join(apps, 'boxship-store.img')]);
    const json = (folder: string) =>
      readFile(join(folder, 'image.json'), 'utf8').then((text) => JSON.parse(text) as object);
    expect(await json(apps)).toEqual({ ...(await json(was)), version: '2.0.0' });

    await product.write('tezi/vendor-notes.txt', 'fixed');
    const rebased = await rebase(open, updated.folder, { base: product.path('tezi'), out: product.path('rebased') });
    await verifyRelease(rebased.folder, product.keys.publicKeyPem);
    const base = await unpack(rebased.folder, 'base');
    expect((await byTools(rebased.folder, rebased.release!))['store']).toBe(payloads[1]!['store']);
    expect(await differing(apps, base)).toEqual(['vendor-notes.txt']);
    const otherKind = await refusal(
      rebase(open, updated.folder, { base: product.path('vendor.img'), out: product.path('no') }),
    );
    expect(otherKind.code).toBe('OTHER_FORMAT');
  });
});
