import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram, startProgram } from '@boxship/host';
import {
  builtProgram,
  environmentOf,
  fearProduct,
  filesBelow,
  looksWhole,
  noise,
  type FearProduct,
} from './fear-product.ts';

let program = '';
let product: FearProduct;
let expected: Readonly<Record<string, string>> = {};
let lockFile = '';

beforeAll(async () => {
  program = await builtProgram();
  const layers = [[{ name: 'bin/app', body: noise(12 << 20) }], [{ name: 'etc/conf', body: Buffer.from('x') }]];
  product = await fearProduct({
    layers,
    yaml: (text) =>
      `${text.replace('basic:', 'extra: { apps: [app] }\n  basic:')}artifacts: [raw: { compression: gz }]\n`,
  });
  await run(['lock']);
  lockFile = (await filesBelow(product.folder))['boxship.lock']!;
  await run(['compose', '--out', product.path('whole')]);
  expected = await filesBelow(product.path('whole'));
  expect(Object.keys(expected)).toHaveLength(16);
});
afterAll(() => product[Symbol.asyncDispose]());

async function run(args: readonly string[]) {
  const { stdout, stderr } = await runProgram(process.execPath, [program, '-f', product.file, ...args], {
    env: environmentOf(product),
  });
  return `${stdout.toString()}${stderr}`;
}

/** Starts a command, and ends it with `signal` once `ready` says so. */
async function interrupted(
  args: readonly string[],
  signal: NodeJS.Signals,
  ready: (output: string) => Promise<boolean> | boolean,
) {
  let output = '';
  const add = (chunk: Buffer) => (output += chunk.toString());
  const started = await startProgram(process.execPath, [program, '-f', product.file, ...args], {
    env: environmentOf(product), onOutput: add, onErrors: add,
  }); // prettier-ignore
  let over = false;
  void started.ended.then(() => (over = true));
  while (!over && !(await ready(output))) await new Promise((done) => setTimeout(done, 1));
  if (!over) process.kill(started.pid, signal);
  const { code, signal: by } = await started.ended;
  return { code, by, output, over };
}

/** Names in the folder that the releases go to, hidden ones too. */
const beside = () => readdir(join(product.out, 'acme-1.0.0')).catch((): string[] => []);
/** The staging folders have this file already. */
const writes = (pattern: RegExp) => async () => Object.keys(await filesNames()).some((name) => pattern.test(name));
const filesNames = async () =>
  Object.fromEntries((await readdir(product.out, { recursive: true }).catch(() => [])).map((name) => [name, true]));

/** Points of a compose: what the program has just said or written. */
const POINTS: readonly (readonly [string, (output: string) => Promise<boolean> | boolean])[] = [
  ['at the start', () => true],
  ['when the image is begun', writes(/\.img$/)],
  ['when the image is compressed', writes(/\.img\.gz$/)],
  ['when the block map is written', writes(/\.bmap/)],
  ['when signatures are written', writes(/\.sigstore\.json$/)],
  ['when the first of two is in its place', async () => (await beside()).includes('tiny-docker-extra')],
];

/** Ctrl-C goes one way through the program wherever it comes; SIGKILL leaves everything as it is. */
const SIGINT_POINTS = POINTS.filter(([when]) => /begun|compressed|signatures/.test(when));

describe.each(['SIGINT', 'SIGKILL'] as const)('a compose that is ended by %s', (signal) => {
  it.each(signal === 'SIGINT' ? SIGINT_POINTS : POINTS)('%s leaves nothing that looks whole and is not; the next run is as if nothing had been', async (_when, ready) => {
    await rm(product.out, { recursive: true, force: true });
    const { code, by, output, over } = await interrupted(['compose'], signal, ready);
    if (signal === 'SIGKILL' && !over) expect(by).toBe('SIGKILL');
    else if (!over && code !== 0) {
      expect(by === signal || code === 130, `${code} ${by}`).toBe(true); // before it listens, a signal ends it
      expect(output).not.toMatch(/defect/);
      expect((await beside()).filter((name) => name.startsWith('.'))).toEqual([]);
    }
    const [left, all] = [await looksWhole(product), await product.outputs()];
    for (const name of left) expect({ name, digest: all[name] }).toEqual({ name, digest: expected[name] });
    for (const folder of new Set(left.map((name) => name.split('/')[1]!))) {
      const of = (names: readonly string[]) => names.filter((name) => name.split('/')[1] === folder).sort();
      expect(of(left)).toEqual(of(Object.keys(expected)));
    }
    await run(['compose']);
    expect(await product.outputs()).toEqual(expected);
  }); // prettier-ignore
});

describe.each(['SIGINT', 'SIGKILL'] as const)('a lock that is ended by %s', (signal) => {
  it.each([0, 200])('after %i ms of work leaves the old lock, and the next run works', async (milliseconds) => {
    await rm(product.cache.root, { recursive: true, force: true });
    let first = 0;
    const ready = (output: string) => {
      if (output.includes('hashing')) first ||= Date.now();
      return first > 0 && Date.now() - first >= milliseconds;
    };
    await interrupted(['lock'], signal, ready);
    expect((await filesBelow(product.folder))['boxship.lock']).toBe(lockFile);
    await run(['lock']);
    const partial = Object.keys(await filesBelow(product.cache.root)).filter((name) => name.includes('.partial'));
    expect(partial).toEqual([]);
    expect(await run(['plan'])).toContain('boxship-store');
  }); // prettier-ignore
});
