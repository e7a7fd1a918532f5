import { chmod, readdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { composeProduct, openProduct } from '@boxship/compose';
import { silent } from '@boxship/host';
import { fearProduct, refusal, type FearProduct } from './fear-product.ts';

// Artifacts of one run are made at the same time, by programs that end in any order, fail, or do not want to stop.

const ARTIFACTS = `artifacts:
  - mender
  - raw: { compression: gz }
  - rootfs-tar: { compression: gz }
  - rauc
  - rauc: { bundle: plain, compatible: Acme Board }
  - swupdate
  - swupdate: { content: both, rootfsDevice: /dev/null }
`;
const STEM = 'acme-1.0.0-tiny-basic';
const FORMS = [
  'apps.mender',
  'img.gz',
  'img.bmap',
  'apps.raucb',
  'updates.pem',
  'apps.plain.raucb',
  'apps.swu',
  'both.swu',
];
const TARS = ['rootfs.tar.gz', 'store.tar.gz', 'data.tar.gz', 'partitions.json'];
const PATH = process.env['PATH'];

let product: FearProduct;
let whole: Readonly<Record<string, string>> = {};

beforeAll(async () => {
  product = await fearProduct({ yaml: (text) => text + ARTIFACTS });
  await product.lock();
  const [composed] = await product.compose();
  whole = await product.outputs();
  expect(composed!.release.files.map(({ name }) => name)).toEqual([...FORMS, ...TARS].map((name) => `${STEM}.${name}`));
});
beforeEach(async () => {
  for (const name of ['deploy', 'programs', 'marks']) await rm(product.path(name), { recursive: true, force: true });
  await product.write('marks/tests', '');
});
afterAll(async () => {
  process.env['PATH'] = PATH;
  await product[Symbol.asyncDispose]();
});

/** Puts lines of a shell before a program whenever it has work to do; asked for its version it is itself. */
async function before(program: string, lines: string): Promise<void> {
  const file = product.path(`programs/${program}`);
  const marks = product.path('marks');
  const script = `#!/bin/bash\nPATH='${PATH}'\ncase "$1" in -version|--version) exec ${program} "$@";; esac\nmarks='${marks}'\n${lines}\nexec ${program} "$@"\n`;
  await product.write(`programs/${program}`, script);
  await chmod(file, 0o755);
  process.env['PATH'] = `${product.path('programs')}:${PATH}`;
}

const marks = async () => (await readdir(product.path('marks'))).filter((name) => name !== 'tests').sort();
/** Takes its time when it is told to end, and writes until then where the parts of all artifacts lie. */
const STUBBORN = `
last="\${!#}"
trap 'sleep 0.3; [ -e "$last" ] && : >"$marks/ended-$$"; exit 1' TERM
: >"$marks/started-$$"
while :; do sleep 0.05; : >"$last.more"; done`;

describe('artifacts that are made side by side', () => {
  it.each([
    ['gzip', 'sleep 0.4'],
    ['mksquashfs', 'sleep 1.5'],
  ])('are the same files in the same order when %s is slow', async (program, lines) => {
    await before(program, lines);
    const [composed] = await product.compose();
    expect(await product.outputs()).toEqual(whole); // release.json, too
    expect(composed!.unchanged).toBe(false);
  });

  it('one fails: its error is told when the others have ended; nothing is left, the next run works', async () => {
    await before('gzip', `case "${'${!#}'}" in *.img) ${STUBBORN};; esac`); // others have room beside it
    // fails as soon as another one is at work
    await before('mksquashfs', 'until ls "$marks"/started-* >/dev/null 2>&1; do sleep 0.02; done; echo "no block left" >&2; exit 3'); // prettier-ignore
    const error = await refusal(product.compose());
    expect(error.code).toBe('PROGRAM_FAILED');
    expect(error.message).toMatch(/^mksquashfs ended with exit code 3: no block left/);
    const names = await marks();
    expect(names.length).toBeGreaterThan(0);
    // each that was started has ended, and its file was still there then
    expect(names.filter((name) => name.startsWith('ended'))).toEqual(
      names.filter((name) => name.startsWith('started')).map((name) => name.replace('started', 'ended')),
    );
    expect(await product.outputs()).toEqual({});
    process.env['PATH'] = PATH;
    await product.compose();
    expect(await product.outputs()).toEqual(whole);
  });

  it('one that several wait for fails: told once, with its own words', async () => {
    await before('gzip', 'case "${!#}" in *boxship-store.ext4) echo "cannot read it" >&2; exit 4;; esac');
    const error = await refusal(product.compose());
    expect(error.message).toMatch(/^gzip ended with exit code 4: cannot read it/);
    expect(await product.outputs()).toEqual({});
  });

  it('Ctrl-C while programs work: they are ended and waited for, nothing is left', async () => {
    await before('gzip', STUBBORN);
    await before('mksquashfs', STUBBORN);
    const stop = new AbortController();
    const open = await openProduct(product.file, { cache: product.cache, progress: silent, version: '0.0.0-test' });
    const composing = composeProduct(open, {}, { out: product.out, signal: stop.signal });
    const stopped = expect(composing).rejects.toThrow('Ctrl-C');
    await expect.poll(async () => (await marks()).length, { timeout: 30_000 }).toBeGreaterThan(0);
    stop.abort(new Error('Ctrl-C'));
    await stopped;
    const names = await marks();
    expect(names.filter((name) => name.startsWith('ended')).length).toBe(names.filter((name) => name.startsWith('started')).length); // prettier-ignore
    expect(await product.outputs()).toEqual({});
  });
});
