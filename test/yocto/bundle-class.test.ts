import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runProgram } from '@boxship/host';
import { complaints, finalValues, inBuild, makeBuildFolder, ourRecipesAlone, removeWork } from './build-folder.ts';
import { yoctoFolder, type Release } from './checkouts.ts';
import { META_BOXSHIP, releaseNames } from './layers-under-test.ts';
import { proof } from './results.ts';

const BUNDLE = 'acme-1.0.0-qemux86-64-pro';

for (const release of releaseNames) {
  const inputs = () => [META_BOXSHIP, import.meta.filename];
  proof(`${release}/meta-boxship/bundle-class`, { release, inputs }, () => deployBundle(release));
}

/** Runs the tasks of a bbRecipe of the class on local files: with the right digest, and with another one. */
async function deployBundle(release: Release) {
  const folder = join(yoctoFolder(), release, 'layers/bundle-class');
  await rm(folder, { recursive: true, force: true });
  const layer = join(folder, 'meta-try');
  const files = join(folder, 'files');
  for (const path of [join(layer, 'conf'), join(layer, 'recipes-core/try'), files])
    await mkdir(path, { recursive: true });
  const digests: Record<string, string> = {};
  for (const role of ['store', 'data']) {
    const file = join(files, `${BUNDLE}.${role}.ext4`);
    await runProgram('mke2fs', ['-q', '-t', 'ext4', file, '16M']);
    await chmod(file, 0o644);
    digests[role] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  await runProgram('zstd', ['-q', '--rm', join(files, `${BUNDLE}.store.ext4`)]);
  await writeFile(
    join(layer, 'conf/layer.conf'),
    `BBPATH .= ":\${LAYERDIR}"
BBFILES += "\${LAYERDIR}/recipes-*/*/*.bb"
BBFILE_COLLECTIONS += "try"
BBFILE_PATTERN_try = "^\${LAYERDIR}/"
LAYERSERIES_COMPAT_try = "scarthgap whinlatter wrynose blacksail"
`,
  );
  const recipe = (name: string, store: string, where: string) =>
    writeFile(
      join(layer, `recipes-core/try/boxship-${name}_1.0.bb`),
      `LICENSE = "CLOSED"
BOXSHIP_BUNDLE = "${BUNDLE}"
BOXSHIP_BUNDLE_DIR = "${where}"
BOXSHIP_STORE_SUFFIX = ".zst"
BOXSHIP_STORE_SHA256 = "${store}"
BOXSHIP_DATA_SHA256 = "${digests['data']}"
inherit boxship_bundle
`,
    );
  await recipe('good', digests['store']!, files);
  await recipe('bad', '0'.repeat(64), files);
  await recipe('absent', digests['store']!, '/nowhere');

  const build = await makeBuildFolder(release, 'bundle-class', {
    layers: [META_BOXSHIP, layer],
    configuration: [
      'DISTRO_FEATURES:append = " virtualization seccomp ipv6"', // meta-virtualization warns without
      ...ourRecipesAlone(),
    ],
  });
  await removeWork(build);
  const good = await inBuild(build, ['bitbake', '-c', 'deploy', 'boxship-good']);
  expect({ code: good.code, complaints: complaints(good.text), text: good.code === 0 ? '' : good.text }).toEqual({
    code: 0,
    complaints: [],
    text: '',
  });
  const { DEPLOY_DIR_IMAGE: deployed } = await finalValues(build, 'boxship-good', ['DEPLOY_DIR_IMAGE']);
  for (const role of ['store', 'data']) {
    const bytes = await readFile(join(deployed!, `${BUNDLE}.${role}.ext4`));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(digests[role]);
  }

  // what was fetched is not touched: it is the only copy
  const source = await runProgram('sh', [
    '-c',
    'zstd -dc "$1" | sha256sum',
    'sh',
    join(files, `${BUNDLE}.store.ext4.zst`),
  ]);
  expect(source.stdout.toString().slice(0, 64)).toBe(digests['store']);

  const bad = await inBuild(build, ['bitbake', '-c', 'deploy', 'boxship-bad']);
  expect(bad.code).toBe(1);
  expect(bad.text).toContain(`has the sha256 ${digests['store']}; BOXSHIP_STORE_SHA256 pins ${'0'.repeat(64)}`);

  const absent = await inBuild(build, ['bitbake', '-c', 'deploy', 'boxship-absent']);
  expect(absent.code).toBe(1);
  expect(absent.text).toContain(
    `/nowhere/${BUNDLE}.store.ext4.zst does not exist: write the bundle with "boxship store"`,
  );
  return {
    tasks: Number(/Attempted (\d+) tasks/.exec(good.text)![1]),
    store: `sha256:${digests['store']!.slice(0, 12)}`,
  };
}
