import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyRelease, type ComposedVariant } from '@boxship/compose';
import { runProgram } from '@boxship/host';
import { generateKeyPair } from 'cosign-node-binding';
import { describe, expect, it } from 'vitest';
import { updaterCommand } from '../lab/updaters.mjs';
import { fearProduct, PASSWORD, type FearProduct } from './fear-product.ts';
import { payloadByTools } from './payload-by-tools.ts';

const ARTIFACTS = `artifacts:
  - raw
  - android-sparse: { splitSize: 3MiB }
  - rauc: { content: both }
  - rauc: { bundle: plain, compatible: Acme Board }
  - swupdate
  - swupdate: { content: both, compression: zstd, rootfsDevice: /dev/null }
  - mender
  - mender: { content: system, compression: none }
`;
const STEM = 'acme-1.0.0-tiny-basic';
const UPDATES = ['both.raucb', 'apps.plain.raucb', 'apps.swu', 'both.swu', 'apps.mender', 'system.mender'];

const fileOf = ({ release }: ComposedVariant, name: string) => release.files.find((one) => one.name === `${STEM}.${name}`)!; // prettier-ignore

/** A folder with what real tools find in an artifact. */
async function takeApart(product: FearProduct, { folder }: ComposedVariant, name: string): Promise<string> {
  const to = product.path('taken-apart');
  await rm(to, { recursive: true, force: true });
  const path = join(folder, `${STEM}.${name}`);
  if (name.endsWith('.raucb')) {
    const { command, args } = await updaterCommand({ suite: 'trixie', package: 'rauc' });
    await runProgram(command, [...args, 'extract', `--keyring=${join(folder, `${STEM}.updates.pem`)}`, path, to]);
    return to;
  }
  await mkdir(to);
  const script = name.endsWith('.swu')
    ? 'cpio -i --quiet <"$1"; for f in *.gz; do [ ! -e $f ] || gunzip $f; done; for f in *.zst; do [ ! -e $f ] || zstd -dq $f; done'
    : 'tar -xf "$1"; tar -xf header.tar.gz; tar -xf data/0000.tar*';
  await runProgram('sh', ['-ec', script, 'sh', path], { cwd: to });
  return to;
}

describe('the payload digest of an update', () => {
  it('is the same whoever signs; real tools find its parts; what differs has another', async () => {
    await using product = await fearProduct({ yaml: (text) => text + ARTIFACTS });
    await product.lock();
    const [first] = await product.compose();
    const pair = await generateKeyPair({ password: PASSWORD, metadata: {} });
    await product.write('release.key', pair.privateKeyPem);
    await product.write('release.pub', pair.publicKeyPem);
    const [second] = await product.compose(product.path('again'));
    await verifyRelease(second!.folder, pair.publicKeyPem);
    for (const name of UPDATES) {
      const [mine, theirs] = [fileOf(first!, name), fileOf(second!, name)];
      expect(mine.digest, name).not.toBe(theirs.digest);
      expect(mine.payload, name).toBeDefined();
      expect(mine.payload, name).toEqual(theirs.payload);
      expect(mine.payload!.rootfsChanges.length > 0, name).toBe(!name.startsWith('apps'));
      for (const one of [first!, second!])
        expect(await payloadByTools(await takeApart(product, one, name), mine.payload!), name).toBe(mine.payload!.digest); // prettier-ignore
    }
    const payloads = UPDATES.map((name) => fileOf(first!, name).payload!.digest);
    expect(new Set(payloads).size).toBe(UPDATES.length);

    // the files of a split sparse image together bring the parts of the image, each what it holds of them
    const image = fileOf(first!, 'img').payload!;
    const parts = first!.release.files.filter(({ name }) => /\.simg\.\d+$/.test(name));
    expect(parts.length).toBeGreaterThan(1);
    for (const { name, payload } of parts) {
      const theirs = second!.release.files.find((one) => one.name === name)!;
      expect(payload).toEqual(theirs.payload);
      await runProgram('simg2img', [join(second!.folder, name), product.path('unfolded.img')]);
      expect(await payloadByTools(product.path('unfolded.img'), payload!), name).toBe(payload!.digest);
      await rm(product.path('unfolded.img'));
    }
    const bytesOf = (part: string, all: readonly (typeof image)[]) =>
      all.flatMap(({ parts: some }) => some.filter(({ name }) => name === part))
        .flatMap(({ ranges }) => ranges)
        .reduce((sum, { start, end }) => sum + end - start, 0); // prettier-ignore
    for (const part of ['store', 'data'])
      expect(bytesOf(part, parts.map(({ payload }) => payload!)), part).toBe(bytesOf(part, [image])); // prettier-ignore

    // another device for the same store; another byte in an app
    await product.edit('boxship.yaml', (text) => text.replace('Acme Board', 'Acme Bored'));
    const [bored] = await product.compose(product.path('bored'));
    expect(fileOf(bored!, 'apps.plain.raucb').payload!.digest).not.toBe(fileOf(first!, 'apps.plain.raucb').payload!.digest); // prettier-ignore
    expect(fileOf(bored!, 'both.raucb').payload).toEqual(fileOf(first!, 'both.raucb').payload);
    await product.edit('app/compose.yaml', (text) => `${text}    environment: { COLOUR: blue }\n`);
    await product.lock();
    const [blue] = await product.compose(product.path('blue'));
    for (const name of UPDATES.filter((one) => !one.startsWith('system'))) {
      expect(fileOf(blue!, name).payload!.digest, name).not.toBe(fileOf(bored!, name).payload!.digest);
    }
    expect(fileOf(blue!, 'system.mender').payload).toEqual(fileOf(bored!, 'system.mender').payload);
  });
});
