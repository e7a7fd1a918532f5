// Real docker daemons of three Debian releases, each private: its own root, data root, socket; no network, no iptables.
// Needs root (a daemon does); see `whyNoDockerd`.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { PATH, run } from './program.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Which release of Debian has which docker. */
export const DOCKER_SUITES = { '20.10': 'bookworm', 26.1: 'trixie', 28: 'sid' };

/** Why no daemon can be started here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoDockerd() {
  const why = process.getuid() === 0 ? undefined : 'a docker daemon needs root';
  if (why && process.env.CI === 'true') throw new Error(`${why}, and CI=true allows no skipped tests`);
  return why;
}

/** Folder of a root with the docker of a version, fetched once into the test cache: about 250 MB, below a minute. */
export async function dockerRoot(version) {
  const suite = DOCKER_SUITES[version];
  if (!suite) throw new Error(`no docker ${version}; there are ${Object.keys(DOCKER_SUITES).join(', ')}`);
  return await fetchDebianPackage({ suite, package: 'docker.io', dependencies: true });
}

/**
 * Runs `work` with a docker daemon of `version` on `dataRoot`, and stops it whatever happens. `args` are added to its
 * command line; it may see `folders` too. `containerdStore`: images in containerd's store. `docker.run('images', '-q')` is what the client prints; `docker.host` is for DOCKER_HOST.
 */
export async function withDockerd({ version, dataRoot, args = [], folders = [], containerdStore = false }, work) {
  const { folder: root } = await dockerRoot(version);
  const folder = mkdtempSync(join(tmpdir(), 'boxship-dockerd-'));
  const log = join(folder, 'log');
  const socket = join(folder, 'docker.sock');
  const scratch = mkdtempSync(join(tmpdir(), 'boxship-root-'));
  mkdirSync(dataRoot, { recursive: true });
  const output = openSync(log, 'a');
  writeFileSync(
    join(folder, 'daemon.json'),
    JSON.stringify({ features: { 'containerd-snapshotter': containerdStore } }),
  );
  const daemon = [
    ...['dockerd', '--data-root', dataRoot, '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')],
    ...['-H', `unix://${socket}`, '--iptables=false', '--ip6tables=false', '--bridge=none', '--ip-masq=false'],
    ...[
      '--userland-proxy=false',
      `--storage-driver=${containerdStore ? 'overlayfs' : 'overlay2'}`,
      '--config-file',
      join(folder, 'daemon.json'),
      ...args,
    ],
  ];
  const child = spawn(
    'setpriv',
    // All of it is gone when this process is, however that ends: unshare dies with us, and its children with it.
    ['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', join(here, 'enter-root.sh'), root, scratch, dataRoot, folder, ...folders, '--', ...daemon],
    { stdio: ['ignore', output, output], env: { PATH, LC_ALL: 'C.UTF-8' } },
  ); // prettier-ignore
  closeSync(output);
  const ended = new Promise((done) => child.once('exit', done));
  child.on('error', () => {});
  const killOnExit = () => child.kill('SIGKILL');
  process.on('exit', killOnExit);
  const logTail = () => readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n');
  try {
    for (let tries = 0; !(await answers(socket)); tries += 1) {
      if (child.exitCode !== null || child.signalCode !== null || tries > 600) {
        throw new Error(`dockerd ${version} did not start:\n${logTail()}`);
      }
      await new Promise((done) => setTimeout(done, 100));
    }
    const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: folder };
    return await work({
      version,
      host: env.DOCKER_HOST,
      log: () => readFileSync(log, 'utf8'),
      run: async (...words) => String(await run('docker', words, { env })).trim(),
    });
  } finally {
    stopDaemon(child);
    const patience = setTimeout(() => child.kill('SIGKILL'), 30_000);
    await ended;
    clearTimeout(patience);
    process.off('exit', killOnExit);
    for (const path of [folder, scratch]) rmSync(path, { recursive: true, force: true });
  }
}

/** SIGTERM for dockerd itself, the only child of unshare: it ends its containers and flushes its files. */
function stopDaemon({ pid, exitCode, signalCode }) {
  if (exitCode !== null || signalCode !== null) return;
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)) {
    process.kill(Number(child), 'SIGTERM');
  }
}

function answers(socketPath) {
  return new Promise((resolve) => {
    const ask = request({ socketPath, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ask.on('timeout', () => ask.destroy());
    ask.on('error', () => resolve(false));
    ask.end();
  });
}
