// Real podmans of three Debian releases, each with a graph root of its own and no network.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { withRoot } from './root-session.mjs';

/** Which release of Debian has which podman. */
export const PODMAN_SUITES = { 4.3: 'bookworm', 5.4: 'trixie', 5.8: 'sid' };

/**
 * Calls `work` with the podman of `version` on `graphRoot`; `storageConf` changes the text of its storage.conf.
 * `podman.run('images', '-q')` is what it prints. `folders`: others that it may see.
 */
export async function withPodman({ version, graphRoot, storageConf = (text) => text, folders = [] }, work) {
  const { folder: root } = await fetchDebianPackage({
    suite: PODMAN_SUITES[version],
    package: 'podman',
    dependencies: true,
  });
  // recommended by the package only, and podman 4 does nothing without it
  const { folder: netavark } = await fetchDebianPackage({ suite: PODMAN_SUITES[version], package: 'netavark' });
  // recommended too: the init of the container that holds a pod together
  const { folder: catatonit } = await fetchDebianPackage({ suite: PODMAN_SUITES[version], package: 'catatonit' });
  const own = mkdtempSync(join(tmpdir(), 'boxship-podman-'));
  mkdirSync(graphRoot, { recursive: true });
  const file = (name, text) => {
    writeFileSync(join(own, name), text);
    return join(own, name);
  };
  const env = {
    CONTAINERS_STORAGE_CONF: file(
      'storage.conf',
      storageConf(`[storage]\ndriver = "overlay"\ngraphroot = "${graphRoot}"\nrunroot = "${own}/run"\n[storage.options]\nadditionalimagestores = [\n]\n`),
    ),
    CONTAINERS_CONF: file(
      'containers.conf',
      `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nruntime = "crun"\nhelper_binaries_dir = ["${netavark}/usr/lib/podman", "${catatonit}/usr/bin", "/usr/libexec/podman", "/usr/lib/podman"]\ntmp_dir = "${own}/tmp"\n[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n`,
    ),
    TMPDIR: own,
  }; // prettier-ignore
  const policy = file('policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  try {
    return await withRoot(
      { root, folders: [graphRoot, own, netavark, catatonit, ...folders], cgroup2: true },
      async (session) => {
        await session.run('/run/busybox', ['mkdir', '-p', '/etc/containers', '/var/tmp']);
        await session.run('/run/busybox', ['cp', policy, '/etc/containers/policy.json']);
        return await work({
        version,
        run: async (...words) => String(await session.run('podman', words, env)).trim(),
        fails: async (...words) => String(await session.run('podman', words, env).then(() => '', (error) => error.message)),
      }); // prettier-ignore
      },
    );
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
