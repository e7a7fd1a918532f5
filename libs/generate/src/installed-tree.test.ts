import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketFiles } from '@boxship/device-socket';
import { partitionIdentities } from '@boxship/disk';
import { engines, type Engine } from '@boxship/engines';
import { runProgram } from '@boxship/host';
import { pick, plainDeviceFacts, type TreeEntry, type VariantEngine } from '@boxship/model';
import { layerFiles, planLayer, staticFiles, type LayerFile } from './index.ts';
import { publicKeyPem, sampleProduct } from './testing/sample-layer.ts';

/** bitbake.conf, systemd.bbclass on a device with a merged /usr. */
const VARIABLES = {
  nonarch_libdir: '/usr/lib',
  nonarch_base_libdir: '/usr/lib',
  systemd_unitdir: '/usr/lib/systemd',
  systemd_system_unitdir: '/usr/lib/systemd/system',
  sysconfdir: '/etc',
  localstatedir: '/var',
};

let home: string;
beforeAll(async () => void (home = await mkdtemp(join(tmpdir(), 'boxship-install-'))));
afterAll(() => rm(home, { recursive: true, force: true }));

/** Runs `do_install` of a recipe with a shell, as bitbake does, on sources as its fetcher finds them for `machine`. */
async function install(files: readonly LayerFile[], recipe: RegExp, machine: string, into: string): Promise<void> {
  const bb = files.find(({ path }) => recipe.test(path))!;
  const folder = dirname(bb.path);
  const sources = await mkdtemp(join(home, 'sources-'));
  for (const place of ['boxship-socket/', 'files/', `files/${machine}/`]) {
    for (const { path, text } of files.filter((file) => file.path.startsWith(`${folder}/${place}`))) {
      const target = join(sources, path.slice(`${folder}/${place}`.length));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, text);
    }
  }
  const body = /^do_install\(\) \{\n([^]*?)^\}/m.exec(bb.text)![1]!;
  const script = join(home, 'do_install.sh');
  await writeFile(script, body);
  const assignments = Object.entries({ ...VARIABLES, D: into, S: sources }).map(([name, value]) => `${name}=${value}`);
  await runProgram('env', ['-i', `PATH=${process.env['PATH']}`, ...assignments, 'sh', '-eu', script]);
}

async function treeAt(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const lines = await Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mode } = await lstat(path);
      const bits = (mode & 0o7777).toString(8);
      const what = entry.isFile() ? `file ${bits}\n${await readFile(path, 'utf8')}` : entry.isSymbolicLink() ? `link ${await readlink(path)}` : `folder ${bits}`;
      return [path.slice(root.length + 1), what] as const;
    }),
  );
  return Object.fromEntries(lines.sort(([a], [b]) => (a < b ? -1 : 1)));
} // prettier-ignore

async function expected(entries: readonly TreeEntry[]): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  for (const { path, type, mode, link, content } of entries) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) tree[parent] ??= 'folder 755';
    if (type === 'symlink') tree[path] = `link ${link}`;
    else if (type === 'directory') tree[path] = `folder ${mode.toString(8)}`;
    else {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content?.source.open() ?? []) chunks.push(Buffer.from(chunk));
      tree[path] = `file ${mode.toString(8)}\n${Buffer.concat(chunks).toString()}`;
    }
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('what the recipes install', () => {
  const setups: readonly VariantEngine[] = [
    ...Object.keys(engines).map((name) => ({ name })),
    { name: 'podman', imageStore: 'additional' },
  ];
  it.each(setups.flatMap((engine) => ['scarthgap', 'wrynose'].map((release) => [engine, release] as const)))(
    'is what compose would add to a rootfs: %o on %s',
    async (engine, release) => {
      const machines = { 'qemux86-64': 'mbr', 'imx8mp-lpddr4-evk': release === 'scarthgap' ? 'mbr' : 'gpt' } as const;
      const product = sampleProduct({ engine: JSON.stringify(engine), machines: '{ qemux86-64: {}, imx8mp-lpddr4-evk: {} }' });
      const files = await layerFiles(planLayer(product, { release }), { key: { publicKeyPem, development: true } });
      for (const [machine, tableType] of Object.entries(machines)) {
        const root = await mkdtemp(join(home, 'root-'));
        await chmod(root, 0o755);
        await install(staticFiles(), /boxship-socket_.*\.bb$/, machine, root);
        await install(files, /acme-gateway-socket_.*\.bb$/, machine, root);
        const identity = partitionIdentities('acme-gateway', machine);
        const { entries } = socketFiles({
          engines: [pick<Engine>('engine', engines, engine.name).socket({ facts: plainDeviceFacts(), engine })],
          product: 'acme-gateway', machine, storeUuid: identity('store'), dataUuid: identity('data'), tableType, publicKeyPem, development: true,
        });
        expect(await treeAt(root)).toEqual(await expected(entries));
      }
    },
  ); // prettier-ignore

  /** Runs `pkg_postinst` of podman's configuration as do_rootfs does; what it complained of. */
  async function postinst(release: string, imageStore: string, root: string): Promise<string> {
    const product = sampleProduct({ engine: `{ name: podman, imageStore: ${imageStore} }` });
    const files = await layerFiles(planLayer(product, { release }), { key: { publicKeyPem, development: true } });
    const { text } = files.find(({ path }) => /-podman-config_.*\.bb$/.test(path))!;
    expect(text).toContain('RDEPENDS:${PN} = "container-host-config"');
    const script = join(home, 'postinst.sh');
    await writeFile(script, /^pkg_postinst:\$\{PN\} \(\) \{\n([^]*?)^\}/m.exec(text)![1]!);
    const assignments = Object.entries({ ...VARIABLES, D: root }).map(([name, value]) => `${name}=${value}`);
    const { code, stderr } = await runProgram('env', ['-i', `PATH=${process.env['PATH']}`, ...assignments, 'sh', '-e', script], { accept: [0, 1] }); // prettier-ignore
    expect(code).toBe(stderr === '' ? 0 : 1);
    return stderr;
  }

  it.each(['scarthgap', 'wrynose'])('changes the storage.conf that is there, on %s, or fails the build', async (release) => {
    const root = await mkdtemp(join(home, 'root-'));
    const file = join(root, 'etc/containers/storage.conf');
    await mkdir(dirname(file), { recursive: true });
    const conf = (driver: string, list: string) => `[storage]\ndriver = "${driver}"\n[storage.options]\nadditionalimagestores = [${list}\n]\n`;
    await writeFile(file, conf('vfs', ''));
    expect(await postinst(release, 'graphroot', root)).toBe('');
    expect(await readFile(file, 'utf8')).toBe(conf('overlay', ''));
    for (let time = 0; time < 2; time++) {
      expect(await postinst(release, 'additional', root)).toBe('');
      expect(await readFile(file, 'utf8')).toBe(conf('overlay', '"/var/lib/boxship/images",'));
    }
    await writeFile(file, '[storage]\ndriver = "vfs"\n');
    expect(await postinst(release, 'additional', root)).toContain('storage.conf does not have the line that the store of containers needs: additionalimagestores');
  }); // prettier-ignore
});
