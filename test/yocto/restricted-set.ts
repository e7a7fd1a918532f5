import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { inBuild, makeBuildFolder, parseCache } from './build-folder.ts';
import { checkout, layerCommits, yoctoFolder, type Release } from './checkouts.ts';

/** The recipes that images of all engines can need. Everything else is masked: a parse then takes a minute, not ten. */
export interface RestrictedSet {
  /** Base names of the recipe files, without version. */
  readonly recipes: readonly string[];
  /** Recipes in those files that nothing here needs: not part of `bitbake world`, which would miss what is masked. */
  readonly outsideWorld: readonly string[];
  /** Targets of the full parse. */
  readonly parsed: number;
}

/** What images of ours may name: recipes and packages of every engine, and the tools of the device socket and of wic. */
const SEEDS = [
  'core-image-minimal', 'packagegroup-core-boot', 'packagegroup-core-ssh-openssh', 'linux-yocto', 'kernel-modules',
  'packagegroup-docker', 'packagegroup-podman', 'packagegroup-containerd', 'packagegroup-k3s-host', 'packagegroup-k3s-node',
  'packagegroup-cni', 'packagegroup-netavark', 'docker-moby', 'docker-compose', 'podman', 'podman-compose', 'podman-tui', 'crun', 'runc',
  'containerd', 'nerdctl', 'k3s-server', 'k3s-agent', 'k3s-cni', 'aardvark-dns', 'netavark', 'fuse-overlayfs', 'slirp4netns',
  'e2fsprogs', 'util-linux', 'openssl', 'gptfdisk', 'parted', 'iptables', 'nftables', 'iproute2', 'ca-certificates', 'zstd',
  'grub-efi', 'systemd-boot', 'wic-tools', 'containerd-opencontainers', 'runc-docker', 'runc-opencontainers',
]; // prettier-ignore

const CLOSURE = join(import.meta.dirname, 'closure.py');

/** Lines of local.conf for every build with the restricted set. */
export function worldConfiguration({ outsideWorld }: RestrictedSet): readonly string[] {
  return outsideWorld.map((recipe) => `EXCLUDE_FROM_WORLD:pn-${recipe} = "1"`);
}

/** Made by one full parse of all layers (about five minutes of CPU) for each set of layer commits, then kept. */
export async function restrictedSet(release: Release): Promise<RestrictedSet> {
  const key = createHash('sha256')
    .update(JSON.stringify([await layerCommits(release), SEEDS]))
    .update(await readFile(CLOSURE))
    .digest('hex');
  const file = join(yoctoFolder(), release, `restricted-${key.slice(0, 12)}.json`);
  if (!existsSync(file)) {
    const build = await makeBuildFolder(release, 'full', {
      configuration: ['DISTRO_FEATURES:append = " virtualization seccomp ipv6 k3s"'],
    });
    const { code, text } = await inBuild(build, ['bitbake', '-p']);
    if (code !== 0) throw new Error(`bitbake -p of all layers of ${release} ended with ${code}:\n${text.slice(-3000)}`);
    await mkdir(join(yoctoFolder(), release), { recursive: true });
    const library = join(checkout(release, 'bitbake'), 'lib');
    await runProgram('python3', [CLOSURE, library, await parseCache(build), `${file}.partial`, ...SEEDS]);
    await rename(`${file}.partial`, file);
  }
  return JSON.parse(await readFile(file, 'utf8')) as RestrictedSet;
}
