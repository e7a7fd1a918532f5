import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { fileDownloads } from './file-downloads.ts';

const FILE = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) >>> 5));
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A web server of this machine; `requests` fills with what it was asked. */
async function serve(answer: Answer): Promise<{ host: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response, requests.length);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** Answers as a server that knows Range; the connection ends after `cut` bytes. */
function sendFile({ headers }: IncomingMessage, response: ServerResponse, cut = Infinity): void {
  const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  if (start >= FILE.length) {
    response.writeHead(416, { 'content-range': `bytes */${FILE.length}` }).end();
    return;
  }
  const range = `bytes ${start}-${FILE.length - 1}/${FILE.length}`;
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': FILE.length - start,
    ...(start > 0 ? { 'content-range': range } : {}),
  });
  const body = FILE.subarray(start, start + cut);
  if (start + body.length === FILE.length) response.end(body);
  else response.write(body, () => setTimeout(() => response.destroy(), 20));
}

async function get(url: string, options: Parameters<typeof fileDownloads>[0] = {}, offset = 0, signal?: AbortSignal) {
  await using downloads = fileDownloads({ env: {}, backoff: 1, attempts: 3, ...options });
  const chunks: Uint8Array[] = [];
  const sizes: (number | undefined)[] = [];
  const onSize = (size: number | undefined) => sizes.push(size);
  for await (const chunk of downloads.open(url, { offset, onSize, ...(signal ? { signal } : {}) })) chunks.push(chunk);
  return { bytes: Buffer.concat(chunks), sizes };
}

describe('a file from a web server', () => {
  it('goes on where the connection broke', async () => {
    const { host, requests } = await serve((request, response, count) => sendFile(request, response, count < 3 ? 100_000 : Infinity)); // prettier-ignore
    const { bytes, sizes } = await get(`http://${host}/vendor.img`);
    expect(bytes.equals(FILE)).toBe(true);
    expect(sizes[0]).toBe(FILE.length);
    expect(requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
  });

  it('comes whole from a server that knows no Range, and ends where it ends without a length', async () => {
    const { host } = await serve((_request, response, count) => {
      if (count > 1) return response.writeHead(200).end(FILE);
      response.writeHead(200, { 'content-length': FILE.length }).write(FILE.subarray(0, 70_000));
      setTimeout(() => response.destroy(), 20);
    });
    expect((await get(`http://${host}/vendor.img`)).bytes.equals(FILE)).toBe(true);
  });

  it.each([0, 123_456, FILE.length])('goes on from the %d bytes that are here', async (offset) => {
    const { host } = await serve((request, response) => sendFile(request, response));
    expect((await get(`http://${host}/vendor.img`, {}, offset)).bytes.equals(FILE.subarray(offset))).toBe(true);
  });

  it('asks a busy server again, waits as long as it says, and gives up', async () => {
    const { host, requests } = await serve((request, response, count) =>
      count < 3 ? response.writeHead(503, { 'retry-after': '0' }).end() : sendFile(request, response),
    );
    expect((await get(`http://${host}/vendor.img`)).bytes.equals(FILE)).toBe(true);
    expect(requests).toHaveLength(3);
    const busy = await serve((_request, response) => response.writeHead(503).end());
    await expect(get(`http://${busy.host}/vendor.img`)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(busy.requests).toHaveLength(3);
  });

  it('gives up when the connection always breaks at the same place', async () => {
    const { host, requests } = await serve((request, response) => {
      if (request.headers.range) response.destroy();
      else sendFile(request, response, 100_000);
    });
    const failed = get(`http://${host}/vendor.img`);
    await expect(failed).rejects.toMatchObject({ code: expect.stringMatching(/^(DOWNLOAD_FAILED|REGISTRY_UNREACHABLE)$/) as string }); // prettier-ignore
    expect(requests.length).toBeLessThan(12);
  });

  it('shows a login to its own host alone, and to no reader of a message', async () => {
    const other = await serve((request, response) => sendFile(request, response));
    const { host, requests } = await serve((_request, response) =>
      response.writeHead(302, { location: `http://${other.host}/signed?token=hush` }).end(),
    );
    await get(`http://us%40er:p%3Aw@${host}/vendor.img`);
    expect(requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from('us@er:p:w').toString('base64')}`);
    expect(other.requests[0]!.headers.authorization).toBeUndefined();
    const gone = await serve((_request, response) => response.writeHead(404).end());
    const error = await get(`http://user:secret@${gone.host}/vendor.img?token=hush`).catch(String);
    expect(error).toContain('answers 404');
    expect(error).not.toMatch(/secret|hush/);
  });

  it('comes through the proxy of the environment', async () => {
    const proxy = await serve((request, response) => sendFile(request, response));
    const { bytes } = await get('http://vendor.invalid/vendor.img', { env: { http_proxy: `http://${proxy.host}` } });
    expect(bytes.equals(FILE)).toBe(true);
    expect(proxy.requests[0]!.url).toBe('http://vendor.invalid/vendor.img');
  });

  it('stops when it is told to', async () => {
    const { host } = await serve((_request, response) => response.writeHead(200, { 'content-length': 9 }).write('x'));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    await expect(get(`http://${host}/vendor.img`, {}, 0, stop.signal)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
