// `npm run bench`: builds what it measures and the sample base image, then measures. Arguments go to src/main.ts.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { cached, contentKey } from '../../test/lab/test-cache.mjs';
import { buildTinyBase } from '../../test/fixtures/tiny-base/build.mjs';
import { buildBaseImage } from '../../test/fixtures/base-image/build.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function run(...args) {
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run(here('../cli/build.mjs'));
run(here('build.mjs'));
const args = process.argv.slice(2);
const image = args.includes('--engines') ? await baseOfAllEngines() : (await buildBaseImage()).image;
run(here('../../dist/bench/main.mjs'), '--base', image, ...args);

/** A base image in which Boxship finds every engine: composing is compared, and nothing is booted. */
async function baseOfAllEngines() {
  const PROGRAMS = ['podman', 'netavark', 'crun', 'runc', 'ctr', 'containerd', 'containerd-shim-runc-v2', 'k3s'];
  const files = {
    ...Object.fromEntries(PROGRAMS.map((name) => [`usr/bin/${name}`, '#!/bin/true\n'])),
    'etc/rancher/k3s/config.yaml': 'pause-image: "registry.example.com/rancher/pause:3.6"\n',
    'usr/lib/systemd/system/containerd.service': '[Service]\nExecStart=/usr/bin/containerd\n',
    'var/lib/dpkg/status': 'Package: podman\nStatus: install ok installed\nVersion: 5.4.2\n',
  };
  const name = `engines-${contentKey([here('../../test/fixtures/tiny-base/build.mjs')], files)}.img`;
  return await cached('bench', name, (path) => buildTinyBase(path, { files }));
}
