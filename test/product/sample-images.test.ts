import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSampleImages, type SampleImage } from '../fixtures/images/build.mjs';
import { DOCKER_SUITES, whyNoDockerd, withDockerd, type DockerVersion } from '../lab/engine-roots.mjs';

// The sample images are the input of every other whole-product test, so outside tools look at them first.

let folder = '';
const images: Record<string, SampleImage> = {};
const archives: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-images-'));
  for (const version of ['1.0', '2.0']) {
    const built = buildSampleImages({ folder: join(folder, version), version });
    for (const [name, image] of Object.entries(built)) images[`${name}:${version}`] = image;
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function digests(of: string): Promise<string[]> {
  const names = (await readdir(of, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sums = names.map(async (entry) => {
    const bytes = await readFile(join(entry.parentPath, entry.name));
    return `${entry.name} ${createHash('sha256').update(bytes).digest('hex')}`;
  });
  return (await Promise.all(sums)).sort();
}

describe('the sample images', () => {
  it('are the same bytes each time', async () => {
    const again = join(folder, 'again');
    buildSampleImages({ folder: again, version: '1.0' });
    expect(await digests(again)).toEqual(await digests(join(folder, '1.0')));
  });

  it('differ between versions in their last layer alone', async () => {
    const layers = async (name: string) => {
      const { folder: layout, name: reference } = images[name]!;
      const { stdout } = await runProgram('skopeo', ['inspect', `oci:${layout}:${reference}`]);
      return (JSON.parse(stdout.toString()) as { Layers: string[] }).Layers;
    };
    for (const app of ['gateway', 'hmi']) {
      const [old, young] = [await layers(`${app}:1.0`), await layers(`${app}:2.0`)];
      expect(old.slice(0, -1)).toEqual(young.slice(0, -1));
      expect(old.at(-1)).not.toBe(young.at(-1));
    }
  });

  it('offer two platforms and an attestation (skopeo)', async () => {
    const { folder: layout, name } = images['gateway:1.0']!;
    const { stdout } = await runProgram('skopeo', ['inspect', '--raw', `oci:${layout}:${name}`]);
    const index = JSON.parse(stdout.toString()) as { manifests: { platform: { os: string; architecture: string } }[] };
    expect(index.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`)).toEqual([
      'linux/arm64',
      'linux/amd64',
      'unknown/unknown',
    ]);
  });

  it('become docker archives (skopeo)', async () => {
    for (const [name, image] of Object.entries(images)) {
      archives[name] = join(folder, `${name.replace(':', '-')}.tar`);
      const target = `docker-archive:${archives[name]}:acme/${name}`;
      await runProgram('skopeo', ['--insecure-policy', 'copy', '-q', `oci:${image.folder}:${image.name}`, target]);
    }
  });

  describe.skipIf(whyNoDockerd())('in a real docker', () => {
    it.each(Object.keys(DOCKER_SUITES) as DockerVersion[])('%s run, and find all as it should be', async (version) => {
      await withDockerd({ version, dataRoot: join(folder, `docker-${version}`) }, async (docker) => {
        const printed: string[] = [];
        for (const name of ['gateway:1.0', 'hmi:1.0', 'gateway:2.0']) {
          await docker.run('load', '-q', '-i', archives[name]!);
          const once = ['run', '--rm', '--network', 'none', '-e', 'BOXSHIP_DEMO_ONCE=1'];
          const volume = ['-v', `data-${name.split(':')[0]}:/data`];
          printed.push(await docker.run(...once, ...volume, `acme/${name}`));
        }
        expect(printed).toEqual([
          'boxship-demo: gateway 1.0 has started 1 times, first as 1.0\nboxship-demo: gateway 1.0 is up (29 checks ok)',
          'boxship-demo: hmi 1.0 has started 1 times, first as 1.0\nboxship-demo: hmi 1.0 is up (16 checks ok)',
          'boxship-demo: gateway 2.0 has started 2 times, first as 1.0\nboxship-demo: gateway 2.0 is up (29 checks ok)',
        ]);
      });
    });
  });
});
