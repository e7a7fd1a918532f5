import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { layerFiles, pinned, planLayer, upstreamsOf } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

const schema = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../test/schemas/${name}`, import.meta.url), 'utf8'));
const kas = new Ajv({ strict: false, allErrors: true }).compile(schema('kas.schema.json'));
const setup = new Ajv2020({ strict: false, allErrors: true })
  .addSchema(schema('layers.schema.json'), 'layers.schema.json')
  .compile(schema('bitbake-setup.schema.json')); // prettier-ignore

const complaints = (validate: ValidateFunction, value: unknown) => (validate(value) ? [] : validate.errors);

/** The schemas of kas and bitbake-setup themselves: test/schemas/README.md. */
describe('kas and bitbake-setup', () => {
  it('accept what is generated for them, with and without pins', async () => {
    let seen = 0;
    for (const engine of ['docker', 'k3s']) {
      for (const release of ['scarthgap', 'whinlatter', 'wrynose', 'master']) {
        const product = sampleProduct({ engine, machines: '{ qemux86-64: {}, raspberrypi4-64: {}, imx8mp-lpddr4-evk: {} }' });
        const plan = planLayer(product, { release });
        const commits = new Map(upstreamsOf(plan).map((upstream) => [upstream, '1'.repeat(40)]));
        for (const pins of [{}, pinned({}, release, commits)]) {
          const files = await layerFiles(planLayer(product, { release, pins }), { key: { publicKeyPem, development: false } });
          for (const { path, text } of files) {
            if (path.startsWith('kas/')) expect(complaints(kas, parse(text)), path).toEqual([]);
            else if (path.startsWith('bitbake-setup/')) expect(complaints(setup, JSON.parse(text)), path).toEqual([]);
            else continue;
            seen++;
          }
        }
      }
    }
    expect(seen).toBeGreaterThan(100);
    expect(complaints(kas, { header: {} })).not.toEqual([]);
    expect(complaints(setup, { version: '1.0' })).not.toEqual([]);
  }); // prettier-ignore

  it('get every repository at its pinned commit', async () => {
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
