import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { layerFiles, pinned, planLayer, upstreamsOf } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

/** The JSON Schema of kas 4.8, where `tools/setup/debian-tools.mjs` unpacks Debian's kas. */
const file = join(
  process.env['BOXSHIP_TEST_CACHE'] || join(homedir(), '.cache', 'boxship-test'),
  'tools/kas-trixie/usr/lib/python3/dist-packages/kas/schema-kas.json',
);
const missing = !existsSync(file);

const complaints = (validate: ValidateFunction, value: unknown) => (validate(value) ? [] : validate.errors);

/** bitbake-setup's schemas come with bitbake: test/yocto/bitbake-setup.test.ts. */
describe('kas', () => {
  if (missing) {
    it('has its schema here', (context) => {
      const hint = 'run node tools/setup/debian-tools.mjs kas/trixie';
      if (process.env['CI'] === 'true') throw new Error(`${file} is missing: ${hint}`);
      context.skip(hint);
    });
  }

  it.skipIf(missing)('accepts what is generated for it, with and without pins', async () => {
    const kas = new Ajv({ strict: false, allErrors: true }).compile(JSON.parse(readFileSync(file, 'utf8')) as object);
    let seen = 0;
    for (const engine of ['docker', 'k3s']) {
      for (const release of ['scarthgap', 'whinlatter', 'wrynose', 'master']) {
        const product = sampleProduct({ engine, machines: '{ qemux86-64: {}, raspberrypi4-64: {}, imx8mp-lpddr4-evk: {} }' });
        const plan = planLayer(product, { release });
        const commits = new Map(upstreamsOf(plan).map((upstream) => [upstream, '1'.repeat(40)]));
        for (const pins of [{}, pinned({}, release, commits)]) {
          const files = await layerFiles(planLayer(product, { release, pins }), { key: { publicKeyPem, development: false } });
          for (const { path, text } of files) {
            if (!path.startsWith('kas/')) continue;
            expect(complaints(kas, parse(text)), path).toEqual([]);
            seen++;
          }
        }
      }
    }
    expect(seen).toBeGreaterThan(50);
    expect(complaints(kas, { header: {} })).not.toEqual([]);
  }); // prettier-ignore

  it('gets every repository at its pinned commit, and bitbake-setup as well', async () => {
    const product = sampleProduct({ yocto: '{ release: wrynose, maintainer: J <j@a.example> }' });
    const commits = new Map(upstreamsOf(planLayer(product)).map((upstream, index) => [upstream, String(index).repeat(40)]));
    const plan = planLayer(product, { pins: pinned({}, 'wrynose', commits) });
    const files = await layerFiles(plan, { key: { publicKeyPem, development: false } });
    const read = (path: string) => files.find((file) => file.path === path)!.text;
    const { repos } = parse(read('kas/qemux86-64-basic.yml')) as { repos: Record<string, { url?: string }> };
    const { overrides } = parse(read('kas/qemux86-64-basic.lock.yml')) as { overrides: { repos: Record<string, { commit: string }> } };
    const fetched = Object.keys(repos).filter((name) => repos[name]!.url !== undefined);
    expect(Object.keys(overrides.repos)).toEqual(fetched);
    const { sources } = JSON.parse(read('bitbake-setup/qemux86-64.conf.json')) as { sources: Record<string, { 'git-remote': { rev: string } }> };
    expect(Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, { commit: source['git-remote'].rev }]))).toEqual(overrides.repos);
  }); // prettier-ignore
});
