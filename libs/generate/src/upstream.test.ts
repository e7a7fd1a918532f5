import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { simpleGit } from 'simple-git';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  pinned,
  planLayer,
  readLayerPins,
  resolveUpstreams,
  upstreamsOf,
  writeLayerPins,
  wrongLayersOnDisk,
} from './index.ts';
import { sampleProduct } from './testing/sample-layer.ts';

let home: string;
let commit: string;
const productFile = () => join(home, 'boxship.yaml');

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'boxship-upstream-'));
  const work = join(home, 'work');
  await mkdir(work);
  const git = simpleGit(work);
  await git.init(['--initial-branch=wrynose']);
  await writeFile(join(work, 'README'), 'x\n');
  await git.add('README');
  await git.raw(['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qm', 'one']);
  commit = (await git.revparse(['HEAD'])).trim();
  await git.clone(work, join(home, 'bare.git'), ['--bare']);
}); // prettier-ignore
afterAll(() => rm(home, { recursive: true, force: true }));

describe('branches of layers', () => {
  it('are resolved to commits, from paths and file URLs alike', async () => {
    const upstreams = [
      { repository: join(home, 'bare.git'), branch: 'wrynose' },
      { repository: pathToFileURL(join(home, 'bare.git')).href, branch: 'wrynose' },
      { repository: './bare.git', branch: 'wrynose' }, // from the folder of the product file
    ];
    const commits = await resolveUpstreams(productFile(), upstreams);
    expect(upstreams.map((upstream) => commits.get(upstream))).toEqual([commit, commit, commit]);
  });

  it('that cannot be had are all told at once', async () => {
    const upstreams = [
      { repository: join(home, 'nowhere.git'), branch: 'wrynose' },
      { repository: join(home, 'bare.git'), branch: 'scarthgap' },
      { repository: '--upload-pack=touch /tmp/x', branch: 'wrynose' },
    ];
    const error = await resolveUpstreams(productFile(), upstreams).catch((thrown: unknown) => thrown);
    const { problems } = error as { problems: { code: string; message: string }[] };
    expect(problems.map(({ code }) => code).sort()).toEqual(['LAYER_UNREACHABLE', 'LAYER_UNREACHABLE', 'NO_SUCH_BRANCH']);
    expect(problems.map(({ message }) => message).join('\n')).toMatch(/nowhere\.git cannot be asked[^\n]*(does not appear|not exist)/);
  }); // prettier-ignore

  it('are kept as pins, and reach kas and the plan', async () => {
    const product = sampleProduct({ yocto: `{ release: wrynose, maintainer: J <j@a.example>, layers: { extra: { repository: ${join(home, 'bare.git')} } } }` });
    const plan = planLayer(product);
    const own = upstreamsOf(plan).filter(({ repository }) => repository.startsWith(home));
    expect(own).toEqual([{ repository: join(home, 'bare.git'), branch: 'wrynose' }]);
    const pins = pinned({ scarthgap: { 'a#b': commit } }, 'wrynose', await resolveUpstreams(productFile(), own));
    await writeLayerPins(productFile(), pins);
    expect(await readLayerPins(productFile())).toEqual(pins);
    expect(Object.keys(pins)).toEqual(['scarthgap', 'wrynose']); // other releases keep theirs
    const again = planLayer(product, { pins }).machines[0]!.layers.find(({ collection }) => collection === 'extra');
    expect(again).toMatchObject({ commit, folder: 'bare', path: '.' });
  }); // prettier-ignore

  it.each(['', '[]', '{"lockVersion":2}', '{"lockVersion":1,"layers":{"wrynose":{"a#b":"main"}}}'])('refuse the pins %j', async (text) => {
    await writeFile(join(home, 'boxship-layers.lock'), text);
    await expect(readLayerPins(productFile())).rejects.toMatchObject({ code: 'BAD_LAYER_PINS' });
    await rm(join(home, 'boxship-layers.lock'));
    expect(await readLayerPins(productFile())).toEqual({});
  }); // prettier-ignore
});

it('layers on disk that are of another release are told with both sides', async () => {
  const layer = join(home, 'disk/meta-virtualization/conf');
  await mkdir(layer, { recursive: true });
  const say = (series: string) => writeFile(join(layer, 'layer.conf'), `BBFILE_COLLECTIONS += "virtualization-layer"\nLAYERSERIES_COMPAT_virtualization-layer = "${series}"\n`);
  const wrong = (release: string) => wrongLayersOnDisk(join(home, 'disk'), planLayer(sampleProduct(), { release }));
  await say('whinlatter wrynose');
  expect(await wrong('wrynose')).toEqual([]);
  expect(await wrong('master')).toEqual([]); // says wrynose, and master takes it
  expect(await wrong('scarthgap')).toMatchObject([{ code: 'WRONG_LAYER_RELEASE', message: expect.stringMatching(/whinlatter, wrynose; this build is for scarthgap/) }]);
}); // prettier-ignore
