import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseBitbakeTexts, whyNoBitbakeParser, type BitbakeNode } from '../lab/bitbake-parser.mjs';
import { parseProduct } from '@boxship/catalog';
import { layerFiles, planLayer, staticFiles, type LayerFile } from '@boxship/generate';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const key = { publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(), development: false };

/** A product that Yocto builds, with these keys of the product file. */
function sampleProduct(changes: Readonly<Record<string, string>>) {
  const lines = {
    product: 'acme-gateway', version: '1.4.0', machines: '{ qemux86-64: {} }', engine: 'docker', apps: '{ web: { compose: ./compose.yaml } }',
    variants: '{ basic: { apps: [web] } }', signing: '{ key: ./release.key }', yocto: '{ release: wrynose, maintainer: J <j@a.example> }', ...changes,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\n`).join('');
  return parseProduct('boxship.yaml', `apiVersion: boxship/v1\n${text}`);
} // prettier-ignore
const isBitbake = ({ path }: LayerFile) => /\.(bb|bbappend|bbclass|inc)$/.test(path) || /^conf\/.*\.conf$/.test(path);
const why = whyNoBitbakeParser();

/** The oracle is the grammar of tree-sitter-bitbake: it must find no error, and the values that we meant. */
describe.skipIf(why)(`bitbake files${why ? ` (skipped: ${why})` : ''}`, () => {
  it('of every engine and release have no error', async () => {
    const texts: Record<string, string> = {};
    for (const engine of ['docker', 'podman', 'containerd', 'k3s']) {
      for (const release of ['scarthgap', 'whinlatter', 'wrynose', 'master']) {
        const plan = planLayer(sampleProduct({ engine, machines: '{ qemux86-64: {}, qemuarm64: {}, raspberrypi4-64: {} }' }), { release });
        for (const file of await layerFiles(plan, { key })) if (isBitbake(file)) texts[`${engine}/${release}/${file.path}`] = file.text;
      }
    }
    for (const file of staticFiles()) if (isBitbake(file)) texts[`static/${file.path}`] = file.text;
    expect(Object.keys(texts).length).toBeGreaterThan(120);
    const parsed = await parseBitbakeTexts(texts);
    expect([...parsed].filter(([, nodes]) => nodes.some(({ isError }) => isError)).map(([name]) => name)).toEqual([]);
    for (const [name, text] of Object.entries(texts)) {
      expect(text.endsWith('\n') && !text.endsWith('\n\n'), `the end of ${name}`).toBe(true);
      expect(text, `${name} has blanks at the end of a line`).not.toMatch(/[ \t]$/m);
    }
  }); // prettier-ignore

  it('say of a text what was meant, or refuse it: nothing breaks out of a string', async () => {
    const random = generator(7);
    const pieces = [
      'a', ' ', '"', "'", '\\', '\\n', '\n', '\t', '$', '${S}', '${@d.getVar("S")}', '${', '}', '#', '=', ':append', '\r', 'ä', '大', '😀', '`', '$(id)', ';', '%', '<', '&',
    ];
    const emitted: Record<string, string> = {};
    const meant = new Map<string, string>();
    let refused = 0;
    for (let i = 0; i < 400; i++) {
      const text = `x${Array.from({ length: 1 + (random() % 6) }, () => pieces[random() % pieces.length]).join('')}`;
      try {
        const product = sampleProduct({ yocto: `{ release: wrynose, maintainer: "J <j@a.example>", summary: ${JSON.stringify(text)} }` });
        const files = await layerFiles(planLayer(product), { key });
        const image = files.find(({ path }) => path.endsWith('-image-basic.bb'))!;
        emitted[text] = image.text;
        meant.set(text, `${text.replace(/\.$/, '')}: basic`);
      } catch (error) {
        expect(error).toMatchObject({ name: 'UserError', problems: [{ code: expect.stringMatching(/^BAD_(BITBAKE_TEXT|VALUE)$/), where: { line: 9 } }] });
        refused++;
      }
    }
    expect([refused > 50, meant.size > 50]).toEqual([true, true]);
    const parsed = await parseBitbakeTexts(emitted);
    const names = (nodes: readonly BitbakeNode[]) => nodes.filter(({ type, depth }) => type === 'identifier' && depth === 2).map(({ text }) => text);
    const [reference] = [...parsed.values()].map(names);
    for (const [text, nodes] of parsed) {
      expect(nodes.some(({ isError }) => isError), text).toBe(false);
      expect(valueOf(nodes, 'SUMMARY'), text).toBe(meant.get(text));
      expect(names(nodes)).toEqual(reference); // and no other variable came to be
    }
  }); // prettier-ignore
});

/** The text between the quotes of the first assignment to a variable. */
function valueOf(nodes: readonly BitbakeNode[], variable: string): string | undefined {
  const at = nodes.findIndex(({ type, text }) => type === 'identifier' && text === variable);
  const literal = nodes.slice(at).find(({ type }) => type === 'literal');
  return literal?.text.slice(1, -1);
}

/** Numbers that are the same in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}
