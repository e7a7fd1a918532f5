import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openProduct, updateApps, verifyRelease, type ComposedVariant, type Release } from '@boxship/compose';
import { runProgram, silent } from '@boxship/host';
import { DEVELOPMENT, generateKeyPair, loadPrivateKey, signBlob } from 'cosign-node-binding';
import { describe, expect, it } from 'vitest';
import { fearProduct, PASSWORD, refusal, type FearProduct } from './fear-product.ts';
import { payloadByTools } from './payload-by-tools.ts';

const ARTIFACTS = 'artifacts: [raw, { raw: { compression: xz } }, android-sparse]\n';
const AND_ARCHIVES = ARTIFACTS.replace(']', ', rootfs-tar, rootfs-tar: { compression: gz }]');

async function signWith(product: FearProduct, metadata: Readonly<Record<string, string>> = {}) {
  const pair = await generateKeyPair({ password: PASSWORD, metadata });
  await product.write('release.key', pair.privateKeyPem);
  await product.write('release.pub', pair.publicKeyPem);
  return pair;
}

function imageOf({ folder, release }: ComposedVariant) {
  const [image, packed] = ['.img', '.img.xz'].map((end) => release.files.find(({ name }) => name.endsWith(end))!);
  return { path: join(folder, image!.name), payload: image!.payload!, digest: image!.digest, packed: packed! };
}

async function update(product: FearProduct, folder: string): Promise<Release> {
  const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
  return (await updateApps(open, folder, { out: product.path(`updated-${open.variants({})[0]!.signing.keyId}`) }))
    .release!;
}

describe('the payload digest', () => {
  it('is the same whoever signs, and no longer when a byte of an app differs', async () => {
    await using product = await fearProduct({ yaml: (text) => text + AND_ARCHIVES });
    await product.lock();
    const [first] = await product.compose();
    const updated = await update(product, first!.folder);
    const keys = await signWith(product); // one for releases, where the first one is for development
    const [second] = await product.compose(product.path('again'));
    const [a, b] = [imageOf(first!), imageOf(second!)];
    expect(first!.release.development).toBe(true);
    expect(second!.release.development).toBe(false);
    expect(a.digest).not.toBe(b.digest);
    expect(a.payload).toEqual(b.payload);
    expect(a.packed.payload).toEqual(a.payload);
    expect(a.payload.parts.map(({ name }) => name)).toEqual(['store', 'data']);

    // in the partitions of ours, nothing but the place of the signature differs, and all of that is left out
    const differing = (await runProgram('cmp', ['-l', a.path, b.path], { accept: [1] })).stdout.toString();
    const places = differing.trim().split('\n').map((line) => parseInt(line, 10) - 1); // prettier-ignore
    const store = first!.release.partitions.find(({ role }) => role === 'store')!;
    const inStore = places.filter((place) => place >= store.start!);
    expect(inStore.length).toBeGreaterThan(50);
    expect(Math.max(...inStore) - Math.min(...inStore)).toBeLessThan(128);
    const covered = a.payload.parts.flatMap(({ ranges }) => ranges);
    expect(inStore.filter((place) => covered.some(({ start, end }) => place >= start && place < end))).toEqual([]);

    expect(await payloadByTools(a.path, a.payload)).toBe(a.payload.digest);
    expect(await payloadByTools(b.path, a.payload)).toBe(a.payload.digest);

    // ranges of a sparse image are those of what it unfolds to
    const sparse = second!.release.files.find(({ name }) => name.endsWith('.simg'))!;
    expect(sparse.payload).toEqual(a.payload);
    await runProgram('simg2img', [join(second!.folder, sparse.name), product.path('unfolded.img')]);
    expect(await payloadByTools(product.path('unfolded.img'), a.payload)).toBe(a.payload.digest);

    for (const role of ['store', 'data', 'rootfs']) {
      const fileOf = ({ folder, release }: ComposedVariant, end: string) => {
        const { name, payload, digest } = release.files.find((file) => file.name.endsWith(`.${role}${end}`))!;
        return { path: join(folder, name), payload: payload!, digest };
      };
      const [mine, theirs, packed] = [fileOf(first!, '.tar'), fileOf(second!, '.tar'), fileOf(second!, '.tar.gz')];
      expect(mine.digest === theirs.digest, role).toBe(role === 'data'); // the key is in the rootfs, its signature in the store
      expect(mine.payload).toEqual(theirs.payload);
      expect(packed.payload).toEqual(theirs.payload);
      expect(await payloadByTools(theirs.path, mine.payload), role).toBe(mine.payload.digest);
    }

    const verified = await verifyRelease(second!.folder, keys.publicKeyPem);
    const payloads = verified.files
      .filter(({ name }) => /\.s?img/.test(name))
      .map(({ name, payload }) => [name.replace(/^.*\.(s?img)/, '$1'), payload]);
    const { digest } = a.payload;
    expect(Object.fromEntries(payloads)).toEqual({
      img: digest,
      'img.xz': digest,
      simg: digest,
      'img.bmap': undefined,
    });

    // what is made of them with other apps, too
    const [mine, theirs] = [updated, await update(product, second!.folder)].map(({ files }) => files);
    expect(mine![0]!.digest).not.toBe(theirs![0]!.digest);
    expect(mine![0]!.payload).toEqual(theirs![0]!.payload);

    await product.edit('app/compose.yaml', (text) => `${text}    environment: { COLOUR: blue }\n`);
    await product.lock();
    const blue = imageOf((await product.compose())[0]!);
    await product.edit('app/compose.yaml', (text) => text.replace('blue', 'glue'));
    await product.lock();
    const glue = imageOf((await product.compose())[0]!);
    expect(new Set([a, blue, glue].map(({ payload }) => payload.digest)).size).toBe(3);
    expect(blue.payload.parts[1]).toEqual(glue.payload.parts[1]); // the data
  });

  it.each(['.img', '.img.xz', '.simg'])(
    'that is not that of the bytes is told, though it is signed: %s',
    async (end) => {
      await using product = await fearProduct({ yaml: (text) => text + ARTIFACTS });
      await product.lock();
      const keys = await signWith(product, DEVELOPMENT);
      const [composed] = await product.compose();
      const { folder, release } = composed!;
      const wrong = `sha256:${'0'.repeat(64)}` as const;
      const files = release.files.map((file) => {
        if (!file.name.endsWith(end)) return file;
        const [store, ...others] = file.payload!.parts;
        return { ...file, payload: { ...file.payload!, parts: [{ ...store!, digest: wrong }, ...others] } };
      });
      const text = JSON.stringify({ ...release, files });
      const signature = await signBlob(await loadPrivateKey(keys.privateKeyPem, PASSWORD), Buffer.from(text));
      await writeFile(join(folder, 'release.json'), text);
      await writeFile(join(folder, 'release.json.sig'), signature.raw);
      await writeFile(join(folder, 'release.json.sigstore.json'), signature.bundle);
      const error = await refusal(verifyRelease(folder, keys.publicKeyPem));
      expect(error.problems.map(({ code }) => code)).toEqual(['WRONG_PAYLOAD', 'WRONG_PAYLOAD']);
      expect(error.message).toContain(
        `the payload "store" has the digest ${release.files[0]!.payload!.parts[0]!.digest}`,
      );
      expect(await readFile(join(folder, 'release.json'), 'utf8')).toBe(text);
    },
  );
});
