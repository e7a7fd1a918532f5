#!/usr/bin/env node
/**
 * Programs of other Debian releases, unpacked below a cache folder, for tests: this machine's own packages and apt state
 * are neither read for versions nor changed, and no root is needed.
 *
 *   node tools/setup/debian-tools.mjs cosign/trixie cosign/sid
 *   node tools/setup/debian-tools.mjs --with-dependencies skopeo/trixie
 *
 * Plain JavaScript without dependencies, because it runs before `npm install` has.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const RECORD = 'boxship-package.json';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const ATTEMPTS = 3;
/** Package lists younger than this are not asked for again: hours × minutes × seconds × milliseconds. */
const LISTS_FRESH_FOR = 6 * 60 * 60 * 1000;
const DEBIAN_RELEASE = /^(old)*(stable|testing|unstable)$|^(bullseye|bookworm|trixie|forky|duke|sid)$/;

/** Folder for what the tests keep between runs: `$BOXSHIP_TEST_CACHE`, else `~/.cache/boxship-test`. */
export function testCacheRoot(env = process.env) {
  return resolve(env.BOXSHIP_TEST_CACHE || join(env.HOME || homedir(), '.cache', 'boxship-test'));
}

/** Where `fetchDebianPackage` unpacks a package when it is given no `destination`. */
export function debianToolFolder(name, suite, root = testCacheRoot()) {
  return join(root, 'tools', `${name}-${suite}`);
}

/**
 * A folder that holds the unpacked files of a Debian package: `<folder>/usr/bin/…`, as in the package, and
 * `boxship-package.json` (suite, architecture, and name, version, sha256 of each package). It appears whole or not at all;
 * when it is there already, nothing is run and no network is needed (remove it to get a newer version).
 * Downloads are verified by apt with Debian's keyring. Safe to call from several processes at once.
 *
 * @param {object} wanted
 * @param {string} wanted.suite `trixie`, `sid`, `bookworm-backports`, …
 * @param {string} wanted.package one binary package
 * @param {string} [wanted.destination] the folder; default `<test cache>/tools/<package>-<suite>`
 * @param {boolean} [wanted.dependencies] unpack everything it depends on beside it (libc included), so that programs run
 *   with `chroot`, or with `<folder>/lib64/ld-linux-*.so.* --library-path …`; maintainer scripts are never run
 * @param {string} [wanted.root] folder of the cache; default `testCacheRoot()`
 * @returns {Promise<{folder: string, version: string, fetched: boolean}>}
 */
export async function fetchDebianPackage({
  suite,
  package: name,
  destination,
  dependencies = false,
  root = testCacheRoot(),
}) {
  for (const word of [suite, name]) {
    if (!/^[a-z0-9][a-z0-9+.-]*$/.test(word)) throw new Error(`not the name of a Debian package or suite: "${word}"`);
  }
  const folder = resolve(destination ?? debianToolFolder(name, suite, root));
  const present = await readRecord(folder, name, suite, dependencies);
  if (present) return { folder, version: present.version, fetched: false };

  const state = join(root, 'apt', suite);
  await mkdir(state, { recursive: true });
  return await withLock(join(state, 'lock'), async () => {
    const other = await readRecord(folder, name, suite, dependencies); // another process was faster
    if (other) return { folder, version: other.version, fetched: false };
    await mkdir(dirname(folder), { recursive: true });
    const aside = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
    try {
      const apt = await prepareApt(state, suite);
      const archives = await download(apt, name, dependencies, join(aside, 'archives'));
      const tree = join(aside, 'tree');
      await mkdir(tree, { mode: 0o755 });
      if (dependencies) await mergeUsr(tree);
      const packages = [];
      for (const archive of archives) {
        await run('dpkg-deb', ['--extract', archive, tree]);
        const fields = await run('dpkg-deb', [
          '--show',
          '--showformat=${Package}\n${Version}\n${Architecture}',
          archive,
        ]);
        const [packageName, version, architecture] = fields.split('\n');
        packages.push({ package: packageName, version, architecture, sha256: await sha256(archive) });
      }
      packages.sort((a, b) => (a.package < b.package ? -1 : 1));
      const { version, architecture } = packages.find((one) => one.package === name) ?? {};
      if (!version)
        throw new Error(`${suite} has no package ${name}: apt gave ${packages.map((one) => one.package).join(', ')}`);
      const record = { package: name, suite, version, architecture, dependencies, packages };
      await writeFile(join(tree, RECORD), `${JSON.stringify(record, null, 2)}\n`);
      await removeOurs(folder); // another package, or the same without what it depends on
      await rename(tree, folder);
      return { folder, version, fetched: true };
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  });
}

async function readRecord(folder, name, suite, dependencies) {
  try {
    const record = JSON.parse(await readFile(join(folder, RECORD), 'utf8'));
    return record.package === name && record.suite === suite && (record.dependencies || !dependencies)
      ? record
      : undefined;
  } catch {
    return undefined;
  }
}

/** Removes a folder that this program has made; one that it has not made is somebody's. */
async function removeOurs(folder) {
  const names = await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length > 0 && !names.includes(RECORD)) throw new Error(`${folder} holds other files: give a new folder`);
  await rm(folder, { recursive: true, force: true });
}

/** The links of a merged /usr, which base-files' maintainer script would make, before anything is unpacked. */
async function mergeUsr(tree) {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    await mkdir(join(tree, 'usr', name), { recursive: true });
    await symlink(`usr/${name}`, join(tree, name));
  }
}

/**
 * An apt of its own below `state`: lists, archives, an empty dpkg status and one source. Of the machine's configuration only
 * `Acquire::` is kept (proxies, retries, policies of a mirror); its hooks would act on the machine.
 */
async function prepareApt(state, suite) {
  const folders = ['lists/partial', 'archives/partial', 'cache', 'preferences.d', 'sources.d'];
  for (const folder of folders) await mkdir(join(state, folder), { recursive: true });
  const { uri, keyring } = await debianMirror();
  const source = `deb [signed-by=${keyring}] ${uri} ${suite} main\n`;
  const sourceFile = join(state, 'sources.list');
  const before = await readFile(sourceFile, 'utf8').catch(() => '');
  await writeFile(join(state, 'status'), '');
  await writeFile(sourceFile, source, { mode: 0o600 });

  const kept = (await run('apt-config', ['dump']))
    .split('\n')
    .filter(
      (line) =>
        line.startsWith('Acquire::') && !/^Acquire::(IndexTargets::deb::(?!Packages)|Languages|Retries)/.test(line),
    );
  const own = {
    'Dir::Etc::parts': '/dev/null', 'Dir::Etc::main': '/dev/null', 'Dir::Etc::sourcelist': sourceFile,
    'Dir::Etc::sourceparts': join(state, 'sources.d'), 'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': join(state, 'preferences.d'), 'Dir::State': state, 'Dir::State::lists': join(state, 'lists'),
    'Dir::State::status': join(state, 'status'), 'Dir::Cache': join(state, 'cache'),
    'Dir::Cache::archives': join(state, 'archives'), 'Dir::Log': state, 'Acquire::Retries': '3', 'Acquire::Languages': 'none',
    'APT::Install-Recommends': 'false',
  }; // prettier-ignore
  // The sandbox user of apt cannot enter a cache folder below somebody's home.
  if (process.getuid?.() === 0) own['APT::Sandbox::User'] = 'root';
  const configuration = join(state, 'apt.conf');
  const lines = Object.entries(own).map(([key, value]) => `${key} "${value}";`);
  await writeFile(configuration, `${[...kept, ...lines].join('\n')}\n`, { mode: 0o600 });

  const stamp = join(state, 'updated');
  const age = await stat(stamp).then((info) => Date.now() - info.mtimeMs, () => Infinity); // prettier-ignore
  const apt = {
    run: (args, cwd) => run('apt-get', ['-q', '-y', ...args], { cwd, env: { APT_CONFIG: configuration } }),
    async update() {
      await rm(stamp, { force: true });
      // Without --error-on=any a mirror that does not answer is a warning, and the old lists stay.
      await retry(() => apt.run(['update', '--error-on=any']));
      await writeFile(stamp, '');
    },
    archives: join(state, 'archives'),
  };
  if (before !== source || !(age < LISTS_FRESH_FOR)) await apt.update();
  return apt;
}

/** Paths of the .deb files of a package and, when asked for, of all that it needs. */
async function download(apt, name, dependencies, folder) {
  await mkdir(folder);
  const get = async () => {
    if (!dependencies) return await apt.run(['download', name], folder);
    await apt.run(['-o', `Dir::Cache::archives=${folder}`, 'install', '--download-only', name], folder);
  };
  if (dependencies) await mkdir(join(folder, 'partial'));
  await get().catch(async () => {
    await apt.update(); // the mirror has moved on since the lists were read
    await retry(get);
  });
  const names = (await readdir(folder)).filter((file) => file.endsWith('.deb')).sort();
  return names.map((file) => join(folder, file));
}

/** The Debian mirror that this machine uses, whichever that is: `$BOXSHIP_DEBIAN_MIRROR`, else the first in apt's sources. */
export async function debianMirror() {
  const keyring = KEYRING;
  if (!(await stat(keyring).catch(() => undefined))) {
    throw new Error(
      `${keyring} is missing\n  hint: install debian-archive-keyring; downloads are never taken unverified.`,
    );
  }
  const chosen = process.env.BOXSHIP_DEBIAN_MIRROR;
  if (chosen) return { uri: chosen, keyring };
  const format = '$(RELEASE) $(COMPONENT) $(REPO_URI)';
  const listed = await run('apt-get', [
    'indextargets',
    '--no-release-info',
    '--format',
    format,
    'Created-By: Packages',
  ]);
  for (const line of listed.split('\n')) {
    const [release, component, uri] = line.split(' ');
    if (component === 'main' && uri && DEBIAN_RELEASE.test(release)) return { uri, keyring };
  }
  throw new Error(
    'the apt sources of this machine name no Debian mirror\n  hint: set BOXSHIP_DEBIAN_MIRROR to the address of one.',
  );
}

/** Runs `work` while no other process holds the same lock; the kernel frees it when the holder dies. */
async function withLock(file, work) {
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked && exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise((done, fail) => {
    holder.once('error', fail);
    holder.once('close', (code) => fail(new Error(`flock ${file} ended with ${code}`)));
    holder.stdout.once('data', done);
  });
  try {
    return await work();
  } finally {
    const closed = new Promise((done) => holder.once('close', done));
    holder.stdin.end();
    await closed;
  }
}

async function retry(work) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, 2000 * attempt));
    }
  }
}

/** What a program printed, or an error with the end of what it complained about. */
function run(program, args, { cwd, env } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', (error) => {
      fail(error.code === 'ENOENT' ? new Error(`${program} is not installed: this needs Debian or Ubuntu`) : error);
    });
    child.on('close', (code) => {
      if (code === 0) return done(stdout);
      fail(
        new Error(`${program} ${args.join(' ')} ended with ${code}\n${stderr.trim().split('\n').slice(-6).join('\n')}`),
      );
    });
  });
}

async function sha256(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

async function main(args) {
  const dependencies = args.includes('--with-dependencies');
  const wanted = args.filter((arg) => !arg.startsWith('--')).map((arg) => arg.split('/'));
  if (wanted.length === 0 || wanted.some((parts) => parts.length !== 2)) {
    console.error('usage: node tools/setup/debian-tools.mjs [--with-dependencies] PACKAGE/SUITE…');
    process.exitCode = 2;
    return;
  }
  for (const [name, suite] of wanted) {
    const { folder, version, fetched } = await fetchDebianPackage({ suite, package: name, dependencies });
    console.log(`${name}/${suite} ${version} ${fetched ? 'fetched' : 'present'}: ${folder}`);
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
