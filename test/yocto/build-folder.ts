import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram, type RunResult } from '@boxship/host';
import { bitbakeUser, hasBitbakeLocale, hasUser } from '../../tools/setup/bitbake-host.mjs';
import { checkout, yoctoFolder, type Release } from './checkouts.ts';

/** A build folder of bitbake over the real layers of a release. */
export interface BuildFolder {
  readonly release: Release;
  readonly path: string;
}

export interface BuildOptions {
  /** Layers beside those that every build has, absolute paths. */
  readonly layers?: readonly string[];
  /** Lines for local.conf. */
  readonly configuration?: readonly string[];
  readonly machine?: string;
  /** Base names of the recipes that are kept; all when absent. */
  readonly recipes?: readonly string[];
}

/** Layers of every build, in their repositories, and their collections. */
const LAYERS: readonly (readonly [path: string, collection: string])[] = [
  ['openembedded-core/meta', 'core'],
  ['meta-openembedded/meta-oe', 'openembedded-layer'],
  ['meta-openembedded/meta-python', 'meta-python'],
  ['meta-openembedded/meta-networking', 'networking-layer'],
  ['meta-openembedded/meta-filesystems', 'filesystems-layer'],
  ['meta-virtualization', 'virtualization-layer'],
];

/** Layers that a layer under test may depend on. */
export function dependencyLayers(release: Release): readonly string[] {
  return LAYERS.slice(1).map(([path]) => join(yoctoFolder(), release, path));
}

/** Why no build can run on this machine; undefined when one can. */
export async function buildObstacle(): Promise<string | undefined> {
  const user = bitbakeUser();
  if (user !== undefined && !hasUser(user)) {
    return `bitbake refuses root, and there is no user "${user}": useradd -m ${user}`;
  }
  if (!hasBitbakeLocale()) {
    return 'bitbake needs the locale en_US.UTF-8: localedef -i en_US -f UTF-8 en_US.UTF-8';
  }
  const missing: string[] = [];
  for (const program of ['gawk', 'chrpath', 'diffstat', 'lz4c', 'zstd', 'cpio', 'file', 'gcc', 'socat', 'makeinfo']) {
    if ((await runProgram('which', [program], { accept: [0, 1] })).code !== 0) missing.push(program);
  }
  return missing.length > 0 ? `bitbake needs ${missing.join(', ')}: see test/yocto/README.md` : undefined;
}

/** Makes the folder anew, or with what changed, so that bitbake's caches in it stay. No build reaches for the network. */
export async function makeBuildFolder(release: Release, name: string, options: BuildOptions): Promise<BuildFolder> {
  const path = join(yoctoFolder(), release, 'build', name);
  await mkdir(join(path, 'conf'), { recursive: true });
  const layers = [...LAYERS.map(([layer]) => join(yoctoFolder(), release, layer)), ...(options.layers ?? [])];
  await writeChanged(
    join(path, 'conf/bblayers.conf'),
    [
      'POKY_BBLAYERS_CONF_VERSION = "2"',
      'BBPATH = "${TOPDIR}"',
      'BBFILES ?= ""',
      `BBLAYERS ?= " \\\n${layers.map((layer) => `  ${layer} \\\n`).join('')}"`,
      '',
    ].join('\n'),
  );
  await writeChanged(
    join(path, 'conf/local.conf'),
    [
      `MACHINE ??= "${options.machine ?? 'qemux86-64'}"`,
      'DISTRO ?= "nodistro"',
      'INIT_MANAGER = "systemd"',
      'CONF_VERSION = "2"',
      'PACKAGE_CLASSES = "package_ipk"',
      // the defaults without uninative, which warns when it cannot be downloaded
      'INHERIT_DISTRO = "debian devshell sstate license remove-libtool create-spdx"',
      'BB_NO_NETWORK = "1"',
      'CONNECTIVITY_CHECK_URIS = ""',
      'BB_HASHSERVE_DB_DIR = "${TOPDIR}"',
      ...(options.recipes ? restrict(release, options.recipes) : []),
      ...(options.configuration ?? []),
      '',
    ].join('\n'),
  );
  await own(path);
  return { release, path };
}

/** Masks every recipe of the common layers but those; a layer that then has none left may not warn. */
function restrict(release: Release, recipes: readonly string[]): readonly string[] {
  const root = join(yoctoFolder(), release);
  const names = [...recipes].map((name) => name.replace(/[.+]/g, '\\$&')).join('|');
  const places = '(openembedded-core/meta|meta-openembedded/[^/]+|meta-virtualization)';
  return [
    `BBMASK += "^${root}/${places}/(?!.*/(${names}|linux-%)(_[^/]*)?\\.bb(append)?$).*\\.bb(append)?$"`,
    ...LAYERS.slice(1).map(([, collection]) => `BBFILE_PATTERN_IGNORE_EMPTY_${collection} = "1"`),
  ];
}

/** git refuses a folder of another user; yocto-check-layer asks it for the top of a layer's repository. */
const ANY_OWNER = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' };

export interface BuildRun extends RunResult {
  /** Standard output and standard error. */
  readonly text: string;
  readonly seconds: number;
}

/** Runs a command in the build environment of the folder. */
export async function inBuild(build: BuildFolder, command: readonly string[], accept = [0, 1, 2]): Promise<BuildRun> {
  const { release, path } = build;
  const script =
    'cd "$1" && BUILD=$2 && shift 2 && set -- "$BUILD" -- "$@" && . ./oe-init-build-env "$BUILD" >/dev/null && shift 2 && exec "$@" 2>&1';
  const all = ['bash', '-c', script, 'boxship', checkout(release, 'openembedded-core'), path, ...command];
  return await asBuilder(all, path, { accept, env: { BITBAKEDIR: checkout(release, 'bitbake') } });
}

/** Runs a command as the user who builds, whose home `home` is then. */
export async function asBuilder(
  command: readonly string[],
  home: string,
  { accept = [0, 1, 2], env = {} }: { accept?: number[]; env?: Readonly<Record<string, string>> } = {},
): Promise<BuildRun> {
  const user = bitbakeUser();
  const all = [...(user === undefined ? [] : ['runuser', '-u', user, '--']), ...command];
  const began = Date.now();
  const result = await runProgram(all[0]!, all.slice(1), {
    env: {
      LC_ALL: 'en_US.UTF-8',
      LANG: 'en_US.UTF-8',
      HOME: user === undefined ? (process.env['HOME'] ?? '/') : home,
      ...ANY_OWNER,
      ...env,
    },
    accept,
  });
  return { ...result, text: result.stdout.toString() + result.stderr, seconds: (Date.now() - began) / 1000 };
}

/** Lines that a person would call a warning or worse. */
export function complaints(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .filter((line) => /^(WARNING|ERROR|FATAL|NOTE: .*(override|dangling))/i.test(line.trim()));
}

/** Values of variables as bitbake sees them in the end, for a recipe or, without one, for the configuration. */
export async function finalValues(
  build: BuildFolder,
  recipe: string | undefined,
  names: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const { text, code } = await inBuild(build, ['bitbake', '-e', ...(recipe === undefined ? [] : [recipe])]);
  if (code !== 0) throw new Error(`bitbake -e ${recipe ?? ''} ended with ${code}:\n${text.slice(-3000)}`);
  const values: Record<string, string> = {};
  for (const name of names) {
    const found = new RegExp(`^(?:export )?${name.replace(/[^\w]/g, '\\$&')}="((?:[^"\\\\]|\\\\.)*)"$`, 'm').exec(text);
    if (found) values[name] = found[1]!.replace(/\s+/g, ' ').trim();
  }
  return values;
}

/** bitbake's cache of a parse that is done, the newest. */
export async function parseCache(build: BuildFolder): Promise<string> {
  for (const tmp of ['tmp', 'tmp-glibc']) {
    const file = join(build.path, tmp, 'cache/bb_cache.dat');
    if (existsSync(file)) return file;
    const folder = join(build.path, tmp, 'cache');
    const names = existsSync(folder) ? await readdir(folder) : [];
    const found = names.find((name) => name.startsWith('bb_cache.dat'));
    if (found) return join(folder, found);
  }
  throw new Error(`${build.path} was not parsed yet`);
}

/** Removes what tasks made, so that the next ones run; Debian's pseudo cannot go on in a folder that it has used. */
export async function removeWork(build: BuildFolder): Promise<void> {
  for (const tmp of ['tmp', 'tmp-glibc', 'sstate-cache']) {
    await rm(join(build.path, tmp), { recursive: true, force: true });
  }
}

async function writeChanged(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => '');
  if (before !== text) await writeFile(path, text);
}

/** Gives a folder that root made to the user who builds in it. */
export async function own(path: string): Promise<void> {
  const user = bitbakeUser();
  if (user === undefined) return;
  const id = async (flag: string) => Number((await runProgram('id', [flag, user])).stdout.toString());
  const [uid, gid] = [await id('-u'), await id('-g')];
  for (const one of [path, join(path, 'conf'), join(path, 'conf/local.conf'), join(path, 'conf/bblayers.conf')]) {
    if (existsSync(one)) await chown(one, uid, gid);
  }
}

/**
 * Lines of local.conf for running tasks of our own recipes for real: all other recipes are masked, and what every task
 * waits for is said to be there. Owners are those of the builder, because there is no pseudo.
 */
export function ourRecipesAlone(): readonly string[] {
  return [
    'BBMASK += "/openembedded-core/meta/ /meta-openembedded/ /meta-virtualization/ /linux-yocto_%.bbappend"',
    ...LAYERS.map(([, collection]) => `BBFILE_PATTERN_IGNORE_EMPTY_${collection} = "1"`),
    'INHIBIT_DEFAULT_DEPS = "1"',
    'ASSUME_PROVIDED += "^(?!boxship-|acme-)"',
    `FAKEROOTCMD = "${join(import.meta.dirname, 'without-fakeroot.sh')}"`,
    'FAKEROOTENV = ""',
    'FAKEROOTBASEENV = ""',
  ];
}

/**
 * Lines of local.conf for asking about a kernel: of the layers of others only the recipes of linux-yocto and of that one are
 * left, so that a parse takes seconds, and what they are built with is said to be there. `collections`: those of further
 * layers, which may then have no recipe at all.
 */
export function kernelAlone(release: Release, recipe: string, collections: readonly string[]): readonly string[] {
  const root = join(yoctoFolder(), release);
  return [
    'ASSUME_PROVIDED += "^(?!linux-|virtual/kernel)"',
    `BBMASK += "^${root}/(?!layers/)(?!.*/recipes-kernel/linux/(linux-yocto|${recipe}|linux-%)(_[^/]*)?\\.bb(append)?$).*\\.bb(append)?$"`,
    ...[...LAYERS.map(([, collection]) => collection), ...collections].map(
      (collection) => `BBFILE_PATTERN_IGNORE_EMPTY_${collection} = "1"`,
    ),
  ];
}
