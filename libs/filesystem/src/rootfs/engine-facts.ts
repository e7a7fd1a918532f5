import { MiB, UserError, type EngineFacts } from '@boxship/model';
import { parseAssignments } from './assignments.ts';
import type { RootfsReader } from './rootfs-reader.ts';
import { upstreamVersion } from './package-versions.ts';

/** Where engines are found: program, unit, packages that bring it (Debian, docker.com, meta-virtualization). */
const ENGINES = [
  { name: 'docker', program: 'dockerd', unit: 'docker.service', packages: ['docker.io', 'docker-ce', 'moby-engine', 'docker-moby', 'docker'] },
  { name: 'podman', program: 'podman', unit: 'podman.service', packages: ['podman'] },
  { name: 'containerd', program: 'containerd', unit: 'containerd.service', packages: ['containerd', 'containerd.io', 'containerd-opencontainers'] },
  { name: 'k3s', program: 'k3s', unit: 'k3s.service', packages: ['k3s'] },
]; // prettier-ignore

/** Lowest precedence first (systemd.unit(5), "Unit File Load Path"); /run is empty at build time. */
const UNIT_FOLDERS = [
  'lib/systemd/system',
  'usr/lib/systemd/system',
  'usr/local/lib/systemd/system',
  'etc/systemd/system',
];

/** Where the docker CLI looks for plugins (cli-plugins/manager). */
const PLUGIN_FOLDERS = ['usr/local/lib', 'usr/local/libexec', 'usr/lib', 'usr/libexec'];

/** The container engines of a rootfs, those that are there. Errors: BAD_DAEMON_JSON. */
export async function readEngineFacts(
  fs: RootfsReader,
  findProgram: (name: string) => Promise<string | undefined>,
  packages: ReadonlyMap<string, string>,
): Promise<EngineFacts[]> {
  const found: EngineFacts[] = [];
  for (const engine of ENGINES) {
    const program = await findProgram(engine.program);
    if (!program) continue;
    const packaged = engine.packages.map((name) => packages.get(name)).find((version) => version !== undefined);
    const isDocker = engine.name === 'docker';
    const version = packaged ? upstreamVersion(packaged) : isDocker ? await versionInBinary(fs, program) : undefined;
    const unit = await readExecStart(fs, engine.unit);
    const daemonConfig = isDocker ? await readDaemonConfig(fs) : undefined;
    const containerdConfig = engine.name === 'containerd' ? await readContainerdConfig(fs) : undefined;
    const storageConfig = engine.name === 'podman' ? await readStorageConfig(fs) : undefined;
    const serverConfig = engine.name === 'k3s' ? await readServerConfig(fs) : undefined;
    found.push({
      name: engine.name,
      program,
      ...(version ? { version } : {}),
      ...(unit ? { unit: engine.unit } : {}),
      ...(unit?.execStart ? { execStart: unit.execStart } : {}),
      ...(daemonConfig ? { daemonConfig } : {}),
      ...(containerdConfig ? { containerdConfig } : {}),
      ...(storageConfig ? { storageConfig } : {}),
      ...(serverConfig ? { serverConfig } : {}),
      ...(engine.name === 'podman' ? { netavark: await hasNetavark(fs), quadlet: await hasQuadlet(fs) } : {}),
      composePlugin: isDocker && (await hasComposePlugin(fs)),
    });
  }
  return found;
}

async function hasComposePlugin(fs: RootfsReader): Promise<boolean> {
  for (const folder of PLUGIN_FOLDERS) if (await fs.exists(`${folder}/docker/cli-plugins/docker-compose`)) return true;
  return false;
}

async function readDaemonConfig(fs: RootfsReader): Promise<Record<string, unknown> | undefined> {
  const text = await fs.readText('etc/docker/daemon.json', MiB);
  if (text === undefined || text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new UserError(
    'BAD_DAEMON_JSON',
    'the base image has a /etc/docker/daemon.json that is not a JSON object: docker would not start',
    'Mend it in the base image.',
  );
}

/** Where podman looks for its helpers: containers.conf(5), "helper_binaries_dir". */
const HELPER_FOLDERS = ['usr/local/libexec/podman', 'usr/local/lib/podman', 'usr/libexec/podman', 'usr/lib/podman'];

async function hasNetavark(fs: RootfsReader): Promise<boolean> {
  for (const folder of HELPER_FOLDERS) if (await fs.exists(`${folder}/netavark`)) return true;
  return false;
}

/** Where systemd looks for generators in an image: systemd.generator(7). */
const GENERATOR_FOLDERS = ['lib', 'usr/lib', 'usr/local/lib', 'etc'].map(
  (folder) => `${folder}/systemd/system-generators`,
);

/** podman-systemd.unit(5): the generator that makes units of Quadlet files. */
async function hasQuadlet(fs: RootfsReader): Promise<boolean> {
  for (const folder of GENERATOR_FOLDERS) if (await fs.exists(`${folder}/podman-system-generator`)) return true;
  return false;
}

/** The one of these that podman reads: containers-storage.conf(5), "FILES". */
const STORAGE_CONFIGS = ['etc/containers/storage.conf', 'usr/share/containers/storage.conf'];

/** podman's storage.conf: of TOML, the strings on one line, and the list of strings, that this file is made of. */
async function readStorageConfig(fs: RootfsReader): Promise<EngineFacts['storageConfig']> {
  for (const file of STORAGE_CONFIGS) {
    const text = await fs.readText(file, MiB);
    if (text === undefined) continue;
    const found: Record<string, string> = {};
    let table = '';
    for (const line of text.split('\n')) {
      table = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? table;
      const [, key, , value] = /^\s*(driver|graphroot|imagestore)\s*=\s*(["'])(.*?)\2\s*(?:#.*)?$/.exec(line) ?? [];
      if (table === 'storage' && key !== undefined && value !== undefined) found[key] = value;
    }
    const additionalStores = additionalStoresIn(text);
    return { file: `/${file}`, ...found, ...(additionalStores.length > 0 ? { additionalStores } : {}), text };
  }
  return undefined;
}

/** containers-storage.conf(5), `additionalimagestores` of the table `[storage.options]`. */
function additionalStoresIn(text: string): readonly string[] {
  const [, table = ''] = /^\s*\[\s*storage\.options\s*\]([^]*?)(?=^\s*\[[\w. ]+\]|(?![^]))/m.exec(text) ?? [];
  const plain = table.replace(/^((?:[^"'#\n]|"[^"\n]*"|'[^'\n]*')*)#.*$/gm, '$1');
  const [, list = ''] = /^\s*additionalimagestores\s*=\s*\[([^\]]*)\]/m.exec(plain) ?? [];
  return [...list.matchAll(/"([^"\n]*)"|'([^'\n]*)'/g)].map(([, double, single]) => double ?? single!);
}

const CONTAINERD_CONFIG = 'etc/containerd/config.toml';

/** Top-level `root` of containerd's configuration (containerd-config.toml(5)), as a string on one line. */
async function readContainerdConfig(fs: RootfsReader): Promise<EngineFacts['containerdConfig']> {
  const text = await fs.readText(CONTAINERD_CONFIG, MiB);
  if (text === undefined) return undefined;
  const topLevel = text.split(/^\s*\[/m)[0]!;
  const [, , root] = /^\s*root\s*=\s*(["'])(.*?)\1\s*(?:#.*)?$/m.exec(topLevel) ?? [];
  return { file: `/${CONTAINERD_CONFIG}`, ...(root === undefined ? {} : { root }) };
}

const SERVER_CONFIG = 'etc/rancher/k3s/config.yaml';

/** k3s's config.yaml and the files of its folder config.yaml.d (docs.k3s.io, "Configuration File"), of YAML what they are made of. */
async function readServerConfig(fs: RootfsReader): Promise<EngineFacts['serverConfig']> {
  const folder = `${SERVER_CONFIG}.d`;
  const names = (await fs.readDirectory(folder)).map(({ name }) => name).filter((name) => /\.ya?ml$/.test(name));
  const found: { name: string; value: string; file: string }[] = [];
  for (const path of [SERVER_CONFIG, ...names.sort().map((name) => `${folder}/${name}`)]) {
    const text = (await fs.readText(path, MiB)) ?? '';
    const unquoted = (word: string) => word.trim().replace(/^(["'])(.*)\1$/, '$2');
    for (const [, name = '', rest = '', items = ''] of text.matchAll(/^([a-z][a-z-]*)\+?:[ \t]*([^#\n]*)(?:#.*)?((?:\n[ \t]*-[ \t]+.*)*)/gm)) {
      const inline = /^\[(.*)\]\s*$/.exec(rest)?.[1]?.split(',');
      const listed = items.split('\n').slice(1).map((line) => line.replace(/^\s*-\s+/, ''));
      const words = (inline ?? (listed.length > 0 ? listed : [rest])).map(unquoted);
      found.push({ name, value: words.join(','), file: `/${path}` });
    }
  }
  return found.length > 0 ? found : undefined;
} // prettier-ignore

/** The ExecStart that systemd would run, drop-ins applied, variables filled in from Environment= and EnvironmentFile=. */
async function readExecStart(fs: RootfsReader, unit: string): Promise<{ execStart?: string } | undefined> {
  let text: string | undefined;
  for (const folder of UNIT_FOLDERS) text = (await fs.readText(`${folder}/${unit}`, MiB)) ?? text;
  if (text === undefined) return undefined;
  const dropIns = new Map<string, string>();
  for (const folder of UNIT_FOLDERS) {
    for (const { name } of await fs.readDirectory(`${folder}/${unit}.d`)) {
      const path = `${folder}/${unit}.d/${name}`;
      if (name.endsWith('.conf') && (await fs.stat(path))?.type === 'file') {
        dropIns.set(name, (await fs.readText(path, MiB)) ?? '');
      }
    }
  }
  const all = [text, ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, content]) => content)].join('\n');
  const environment: Record<string, string> = {};
  let execStart: string | undefined;
  for (const line of all.replace(/\\\n/g, ' ').split('\n')) {
    const [, key, value = ''] = /^\s*(ExecStart|Environment|EnvironmentFile)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === 'ExecStart') execStart = value === '' ? undefined : (execStart ?? value);
    if (key === 'EnvironmentFile') {
      const path = value.replace(/^-/, '').replace(/^"(.*)"$/, '$1');
      if (path.startsWith('/')) Object.assign(environment, parseAssignments((await fs.readText(path, MiB)) ?? ''));
    }
    if (key === 'Environment') {
      for (const [word] of value.matchAll(/"[^"]*"|'[^']*'|\S+/g)) {
        Object.assign(environment, parseAssignments(word.replace(/^(["'])(.*)\1$/, '$2')));
      }
    }
  }
  const filled = execStart?.replace(/\$\{(\w+)\}|\$(\w+)/g, (_all, a?: string, b?: string) => environment[a ?? b ?? ''] ?? ''); // prettier-ignore
  return filled === undefined ? {} : { execStart: filled.replace(/\s+/g, ' ').trim() };
}

/** The Go linker's flags, which a Go program carries in its build information, name docker's version. */
async function versionInBinary(fs: RootfsReader, program: string): Promise<string | undefined> {
  const size = (await fs.stat(program))?.size ?? 0;
  const step = 4 * MiB;
  for (let position = 0; position < size; position += step) {
    const text = Buffer.from(await fs.readRange(program, position, step + 256)).toString('latin1');
    const version = /dockerversion\.Version=([\w.+~-]+)/.exec(text)?.[1];
    if (version) return upstreamVersion(version);
  }
  return undefined;
}
