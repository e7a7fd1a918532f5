import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketFiles } from '@boxship/device-socket';
import { partitionIdentities } from '@boxship/disk';
import { engines } from '@boxship/engines';
import { runProgram } from '@boxship/host';
import { plainDeviceFacts, type TreeEntry } from '@boxship/model';
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
      for await (const chunk of content!.source.open()) chunks.push(Buffer.from(chunk));
      tree[path] = `file ${mode.toString(8)}\n${Buffer.concat(chunks).toString()}`;
    }
  }
  return Object.fromEntries(Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('what the recipes install', () => {
  it.each(Object.keys(engines).flatMap((engine) => ['scarthgap', 'wrynose'].map((release) => [engine, release] as const)))(
    'is what compose would add to a rootfs: %s on %s',
    async (engine, release) => {
      const machines = { 'qemux86-64': 'mbr', 'imx8mp-lpddr4-evk': release === 'scarthgap' ? 'mbr' : 'gpt' } as const;
      const product = sampleProduct({ engine, machines: '{ qemux86-64: {}, imx8mp-lpddr4-evk: {} }' });
      const files = await layerFiles(planLayer(product, { release }), { key: { publicKeyPem, development: true } });
      for (const [machine, tableType] of Object.entries(machines)) {
        const root = await mkdtemp(join(home, 'root-'));
        await chmod(root, 0o755);
        await install(staticFiles(), /boxship-socket_.*\.bb$/, machine, root);
        await install(files, /acme-gateway-socket_.*\.bb$/, machine, root);
        const identity = partitionIdentities('acme-gateway', machine);
        const { entries } = socketFiles({
          engines: [(engines as Record<string, (typeof engines)['docker']>)[engine]!.socket({ facts: plainDeviceFacts(), engine: { name: engine } })],
          product: 'acme-gateway', machine, storeUuid: identity('store'), dataUuid: identity('data'), tableType, publicKeyPem, development: true,
        });
        expect(await treeAt(root)).toEqual(await expected(entries));
      }
    },
  ); // prettier-ignore
});
