// Programs in an unpacked Debian root, with folders of this machine at the same paths: for engines that are started for one
// command (podman) or stay (containerd). Needs root; see `whyNoEngine`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PATH, run } from './program.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Why no engine can be started here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoEngine() {
  const why = process.getuid() === 0 ? undefined : 'an engine that mounts overlays needs root';
  if (why && process.env.CI === 'true') throw new Error(`${why}, and CI=true allows no skipped tests`);
  return why;
}

/**
 * Calls `work` with a mount and pid namespace in which `root` is the root directory and `folders` are at their paths.
 * `session.run(program, args, env)` gives what the program printed; `session.spawn` leaves it running until the end.
 * `cgroup2`: a control group file system of version 2, which crun wants, is at its place.
 */
export async function withRoot({ root, folders, cgroup2 = false }, work) {
  const scratch = mkdtempSync(join(tmpdir(), 'boxship-root-'));
  const first = spawn(
    'setpriv',
    // All of it is gone when this process is, however that ends: unshare dies with us, and its children with it.
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child'],
      ...['sh', join(here, 'enter-root.sh'), root, scratch, ...folders, '--'],
      ...['/run/busybox', 'sh', '-c', `${cgroup2 ? CGROUP2 : ''}echo entered; exec /run/busybox cat`],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH, LC_ALL: 'C.UTF-8' } },
  );
  const ended = new Promise((done) => first.once('exit', done));
  const killOnExit = () => first.kill('SIGKILL');
  process.on('exit', killOnExit);
  const running = [];
  try {
    await new Promise((entered, failed) => {
      first.stdout.once('data', entered);
      first.once('error', failed);
      first.once('exit', (code) => failed(new Error(`the root ${root} could not be entered: ${code}`)));
    });
    const inside = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, 'utf8').trim();
    const enter = (program, args) => ['nsenter', ['-t', inside, '-m', '-p', '-r', '-w', '--', program, ...args]];
    return await work({
      run: (program, args, env = {}, options = {}) =>
        run(...enter(program, args), { env: { ...CLEAN, ...env }, ...options }),
      spawn(program, args, { env = {}, stdio }) {
        const [name, words] = enter(program, args);
        const child = spawn(name, words, { stdio, env: { ...CLEAN, ...env } });
        running.push(child);
        return child;
      },
    });
  } finally {
    first.stdin.end(); // the first process ends, and the namespace with everything in it
    const patience = setTimeout(() => first.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(patience);
    process.off('exit', killOnExit);
    for (const child of running)
      if (child.exitCode === null && child.signalCode === null) await new Promise((done) => child.once('exit', done));
    rmSync(scratch, { recursive: true, force: true });
  }
}

const CLEAN = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run',
  LC_ALL: 'C.UTF-8',
  HOME: '/root',
};
const CGROUP2 = '/run/busybox umount -l /sys/fs/cgroup; /run/busybox mount -t cgroup2 none /sys/fs/cgroup || exit 1; ';
