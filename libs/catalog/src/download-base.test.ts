import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openCache, silent, type Cache } from '@boxship/host';
import { fileDownloads } from '@boxship/oci';
import { downloadBase } from './download-base.ts';

const FILE = randomBytes(200_000);
const sha256 = createHash('sha256').update(FILE).digest('hex');

let folder = '';
let cache: Cache;
let url = '';
let cut = Infinity;
let ranges: (string | undefined)[] = [];
const server = createServer(({ headers }, response) => {
  ranges.push(headers.range);
  const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  const partial = start > 0 ? { 'content-range': `bytes ${start}-${FILE.length - 1}/${FILE.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': FILE.length - start, ...partial });
  const body = FILE.subarray(start, start + cut);
  if (start + body.length === FILE.length) response.end(body);
  else response.write(body, () => setTimeout(() => response.destroy(), 20));
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-download-'));
  cache = openCache(join(folder, 'cache'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/vendor.img?token=hush`;
  cut = Infinity;
  ranges = [];
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await rm(folder, { recursive: true, force: true });
});

async function download(wanted = sha256): Promise<string> {
  await using downloads = fileDownloads({ env: {}, attempts: 1, backoff: 1 });
  return await downloadBase({ url, sha256: wanted }, { cache, progress: silent, downloads });
}

it('goes on where a run before ended, and asks nothing when it is there', async () => {
  cut = 80_000;
  await expect(download()).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
  await cache.sweep(['download']);
  cut = Infinity;
  const file = await download();
  expect((await readFile(file)).equals(FILE)).toBe(true);
  expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/)]);
  const [, resumedAt] = /=(\d+)-/.exec(ranges[1]!)!;
  expect(Number(resumedAt)).toBeGreaterThan(0); // a busy machine may not have read all that was sent
  expect(Number(resumedAt)).toBeLessThanOrEqual(80_000);
  expect(await readdir(dirname(file))).toEqual([basename(file)]);
  await download();
  expect(ranges).toHaveLength(2);
});

it('begins anew when what a run before left is damaged', async () => {
  cut = 80_000;
  await expect(download()).rejects.toThrow();
  cut = Infinity;
  const place = dirname(cache.path('download', sha256));
  const [left] = await readdir(place);
  await writeFile(join(place, left!), randomBytes(80_000));
  expect((await readFile(await download())).equals(FILE)).toBe(true);
  expect(ranges).toEqual([undefined, 'bytes=80000-', undefined]);
});

it('refuses another file, keeps nothing of it and shows no secret', async () => {
  const wanted = '0'.repeat(64);
  const error = await download(wanted).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: 'WRONG_DIGEST' });
  expect((error as Error).message).toContain(sha256);
  expect((error as Error).message).not.toContain('hush');
  expect(await readdir(dirname(cache.path('download', wanted)))).toEqual([]);
});
