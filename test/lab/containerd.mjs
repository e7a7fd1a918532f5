// Real containerds of three Debian releases (those that docker.io brings along), each with a root and a socket of its own.
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dockerRoot } from './engine-roots.mjs';
import { withRoot } from './root-session.mjs';

/** Which docker's root has which containerd. */
export const CONTAINERD_VERSIONS = { 1.6: '20.10', 1.7: '26.1', 2.1: '28' };

/**
 * Calls `work` with a containerd of `version` on the folder `state`, and stops it whatever happens. `containerd.ctr(…)` is what
 * `ctr` prints; `cri`: with the CRI plugin, whose pods have the image `sandboxImage` beside their containers. `folders`: others that it may see.
 */
export async function withContainerd({ version, state, folders = [], cri = false, sandboxImage = '' }, work) {
  const { folder: root } = await dockerRoot(CONTAINERD_VERSIONS[version]);
  const own = mkdtempSync(join(tmpdir(), 'boxship-containerd-'));
  mkdirSync(state, { recursive: true });
  const socket = join(own, 'c.sock');
  const disabled = cri
    ? []
    : ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime'];
  writeFileSync(
    join(own, 'config.toml'),
    `version = 2\nroot = "${state}"\nstate = "${own}/state"\ndisabled_plugins = ${JSON.stringify(disabled)}\n[grpc]\n  address = "${socket}"\n` +
      (sandboxImage
        ? `[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "${sandboxImage}"\n  restrict_oom_score_adj = true\n`
        : ''),
  );
  const log = join(own, 'log');
  const output = openSync(log, 'a');
  const text = () => readFileSync(log, 'utf8');
  try {
    return await withRoot({ root, folders: [state, own, ...folders] }, async (session) => {
      const daemon = session.spawn('containerd', ['-c', join(own, 'config.toml')], { stdio: ['ignore', output, output], env: { TMPDIR: own } }); // prettier-ignore
      const ctr = async (...words) => String(await session.run('ctr', ['-a', socket, ...words])).trim();
      for (let tries = 0; ; tries += 1) {
        if (await ctr('version').then(() => true, () => false)) break; // prettier-ignore
        if (daemon.exitCode !== null || tries > 100) throw new Error(`containerd ${version} did not start:\n${text().slice(-3000)}`); // prettier-ignore
        await new Promise((done) => setTimeout(done, 200));
      }
      try {
        return await work({ version, ctr, socket, session, log: text });
      } finally {
        // its databases are whole when it has ended
        await session.run('/run/busybox', ['sh', '-c', 'for p in /proc/[0-9]*; do read -r name 2>/dev/null <"$p/comm" && [ "$name" = containerd ] && kill "${p#/proc/}"; done']).catch(() => {}); // prettier-ignore
        for (let tries = 0; daemon.exitCode === null && daemon.signalCode === null && tries < 100; tries += 1) {
          await new Promise((done) => setTimeout(done, 100));
        }
      }
    });
  } finally {
    closeSync(output);
    rmSync(own, { recursive: true, force: true });
  }
}
