// Debian's docker-registry (distribution 2.8, without the referrers API), unpacked beside the system; no root.
import { get } from 'node:http';
import { createServer } from 'node:net';
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { updaterCommand } from './updaters.mjs';

/** Starts one on a free port of this machine that keeps its blobs in `folder`. */
export async function startRegistry(folder) {
  const port = await freePort();
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'config.yml');
  await writeFile(
    config,
    `version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\nstorage: { filesystem: { rootdirectory: ${join(folder, 'data')} } }\nhttp: { addr: "127.0.0.1:${port}" }\n`,
  );
  const { command, args } = await updaterCommand({ suite: 'bookworm', package: 'docker-registry' });
  const child = spawn(command, [...args, 'serve', config], { stdio: 'ignore', env: { OTEL_TRACES_EXPORTER: 'none' } });
  const ended = new Promise((done) => child.once('close', done));
  const stop = async () => {
    child.kill();
    await ended;
  };
  for (let tries = 0; ; tries += 1) {
    const up = await answers(`http://127.0.0.1:${port}/v2/`);
    if (up) break;
    if (tries > 300 || child.exitCode !== null) {
      await stop();
      throw new Error(`docker-registry does not start (${child.exitCode})`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  return { host: `127.0.0.1:${port}`, port, data: join(folder, 'data'), [Symbol.asyncDispose]: stop };
}

function answers(url) {
  return new Promise((done) => {
    get(url, (response) => {
      response.resume();
      done(response.statusCode === 200);
    }).on('error', () => done(false));
  });
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
