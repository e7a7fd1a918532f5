import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram, type BuiltProgram, type Run } from './testing/built-program.ts';

const PRODUCT = `apiVersion: boxship/v1
product: acme
version: 1.4.0
machines: { qemux86-64: {} }
apps: { web: { compose: ./compose.yaml } }
variants: { basic: { apps: [web] } }
signing: { key: ./release.key }
yocto: { release: wrynose, maintainer: Jane Doe <jane@acme.example> }
`;

/** Repositories that a build of wrynose fetches, by the address in the generated files without `https://`. */
const REPOSITORIES = {
  'git.openembedded.org/bitbake': '2.18',
  'git.openembedded.org/openembedded-core': 'wrynose',
  'git.openembedded.org/meta-openembedded': 'wrynose',
  'git.yoctoproject.org/meta-virtualization': 'wrynose',
  'git.yoctoproject.org/meta-yocto': 'wrynose', // poky
};

/** The program, and a git that finds https:// addresses in a folder. */
let program: BuiltProgram;
let upstream: string;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  program = await buildProgram();
  upstream = join(program.folder, '..', 'upstream');
  env = { GIT_CONFIG_GLOBAL: join(program.folder, '..', 'gitconfig') };
  const rewrite = `[url "${pathToFileURL(upstream).href}/"]\n\tinsteadOf = https://\n`;
  await writeFile(env['GIT_CONFIG_GLOBAL']!, `${rewrite}[user]\n\tname = a\n\temail = a@b.example\n`);
  for (const [name, branch] of Object.entries(REPOSITORIES)) {
    await mkdir(join(upstream, name), { recursive: true });
    await git(name, 'init', '--quiet', `--initial-branch=${branch}`);
    await commitTo(name);
  }
  await program.write('compose.yaml', 'services: { web: { image: registry.example.com/acme/web:1 } }\n');
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await program.write('release.pub', publicKey.export({ type: 'spki', format: 'pem' }) as string);
});
afterAll(() => program[Symbol.asyncDispose]());

async function git(repository: string, ...args: string[]): Promise<string> {
  const { stdout } = await runProgram('git', ['-C', join(upstream, repository), ...args], { env });
  return stdout.toString().trim();
}

/** A new commit on the branch; gives its hash. */
async function commitTo(repository: string): Promise<string> {
  await git(repository, 'commit', '--quiet', '--allow-empty', '-m', 'a change');
  return await git(repository, 'rev-parse', 'HEAD');
}

const layer = (...args: string[]): Promise<Run> => program.run(['layer', ...args], env);

interface Upstreams {
  readonly upstreams: readonly {
    readonly repository: string;
    readonly state: string;
    readonly newest: string;
    readonly pinned?: string;
  }[];
  readonly problems?: readonly object[];
  readonly error?: { readonly exitCode: number; readonly problems: readonly { code: string; message: string }[] };
}

async function check(): Promise<Upstreams & { readonly code: number }> {
  const { code, stdout, stderr } = await layer('--check', '--json');
  expect(stderr).toBe('');
  return { code, ...(JSON.parse(stdout) as Upstreams) };
}

const file = (path: string) => join(program.folder, 'yocto/meta-acme', path);

describe('boxship layer', () => {
  it('says as JSON what it wrote; a second run changes nothing, and a dry run writes nothing', async () => {
    await program.write('boxship.yaml', PRODUCT);
    const dry = await layer('--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain('+++ b/meta-acme/conf/layer.conf\n');
    expect(await readdir(program.folder)).not.toContain('yocto');

    const first = await layer('--json');
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    const { release, layers } = JSON.parse(first.stdout) as {
      release: string;
      layers: { layer: string; folder: string; changes: { path: string; action: string }[] }[];
    };
    expect(release).toBe('wrynose');
    expect(layers.map((one) => one.layer)).toEqual(['meta-acme', 'meta-boxship']);
    for (const { folder, changes } of layers) {
      for (const { path, action } of changes) {
        expect(action).toBe('create');
        expect((await readFile(join(folder, path))).length).toBeGreaterThan(0);
      }
    }
    const again = JSON.parse((await layer('--json')).stdout) as typeof first & { layers: typeof layers };
    expect(again.layers.flatMap(({ changes }) => changes)).toEqual([]);
  });

  it('--check is content, and says which branches nobody pinned; --pin pins them as git knows them', async () => {
    const before = await check();
    expect(before).toMatchObject({ code: 0, problems: [] });
    expect(before.upstreams.map(({ repository, state }) => [repository.slice('https://'.length), state])).toEqual(
      Object.keys(REPOSITORIES).map((name) => [name, 'not pinned']),
    );

    expect((await layer('--pin', '--quiet')).code).toBe(0);
    const lock = JSON.parse(await readFile(join(program.folder, 'boxship-layers.lock'), 'utf8')) as {
      layers: { wrynose: Record<string, string> };
    };
    const kas = await readFile(file('kas/qemux86-64-basic.lock.yml'), 'utf8');
    const setup = await readFile(file('bitbake-setup/qemux86-64.conf.json'), 'utf8');
    for (const [name, branch] of Object.entries(REPOSITORIES)) {
      const commit = await git(name, 'rev-parse', branch);
      expect(lock.layers.wrynose[`https://${name}#${branch}`]).toBe(commit);
      expect(kas).toContain(`commit: ${commit}`);
      expect(setup).toContain(`"rev": "${commit}"`);
    }
    expect(new Set((await check()).upstreams.map(({ state }) => state))).toEqual(new Set(['pinned']));
  });

  it('--check tells what moved upstream, without failing; only --pin takes it', async () => {
    const name = 'git.yoctoproject.org/meta-virtualization';
    const old = await git(name, 'rev-parse', 'HEAD');
    const newest = await commitTo(name);
    const { code, upstreams } = await check();
    expect(code).toBe(0);
    expect(upstreams.filter(({ state }) => state !== 'pinned')).toMatchObject([
      { repository: `https://${name}`, state: 'moved', pinned: old, newest },
    ]);
    expect((await layer('--check')).stdout).toMatch(
      new RegExp(`^moved +https://${name} wrynose +${old.slice(0, 12)} -> ${newest.slice(0, 12)}$`, 'm'),
    );
    await layer('--quiet');
    expect(await readFile(file('kas/qemux86-64-basic.lock.yml'), 'utf8')).toContain(old);
    await layer('--pin', '--quiet');
    expect(await readFile(file('kas/qemux86-64-basic.lock.yml'), 'utf8')).toContain(newest);
  });

  it('--check fails for what was edited by hand, and keeps it until --overwrite; what a person added stays', async () => {
    const edited = file('conf/distro/include/acme.inc');
    const original = await readFile(edited, 'utf8');
    await writeFile(edited, `${original}# mine\n`);
    await mkdir(file('recipes-mine/mine'), { recursive: true });
    await writeFile(file('recipes-mine/mine/mine_1.0.bb'), 'LICENSE = "CLOSED"\n');
    const { code, error, upstreams } = await check();
    expect(code).toBe(1);
    expect(error!.problems).toMatchObject([
      {
        code: 'LAYER_EDITED',
        message: 'meta-acme/conf/distro/include/acme.inc was generated and then changed by hand',
      },
    ]);
    expect(upstreams).toHaveLength(5); // what moved is told all the same

    const kept = await layer();
    expect(kept.code).toBe(0);
    expect(kept.stdout).toContain('kept, changed by hand: meta-acme/conf/distro/include/acme.inc');
    expect(await readFile(edited, 'utf8')).toContain('# mine');
    expect((await layer('--dry-run')).stdout).toContain('\n-# mine\n');
    const taken = await layer('--overwrite');
    expect([taken.code, taken.stdout]).toEqual([0, expect.stringMatching(/meta-acme +1 taken back\n/)]);
    expect(await readFile(edited, 'utf8')).toBe(original);
    expect(await readFile(file('recipes-mine/mine/mine_1.0.bb'), 'utf8')).toBe('LICENSE = "CLOSED"\n');
    expect((await check()).code).toBe(0);
  });

  it('--check fails for a layer that is stale, and for a checkout of another release', async () => {
    await program.write('boxship.yaml', PRODUCT.replace('1.4.0', '1.5.0'));
    const stale = await check();
    expect(stale.code).toBe(1);
    expect(stale.error!.problems.map(({ code }) => code)).toEqual(['LAYER_STALE']);
    await layer('--quiet');
    await program.write(
      'yocto/meta-virtualization/conf/layer.conf',
      'BBFILE_COLLECTIONS += "virtualization-layer"\nLAYERSERIES_COMPAT_virtualization-layer = "scarthgap"\n',
    );
    const wrong = await check();
    expect(wrong.code).toBe(1);
    expect(wrong.error!.problems.map(({ code, message }) => `${code} ${message}`).join()).toMatch(
      /^WRONG_LAYER_RELEASE the layer virtualization-layer in .* is for scarthgap; this build is for wrynose$/,
    );
  });

  it('--pin writes nothing when a repository cannot be reached, and names it with git\'s words', async () => {
    const lock = await readFile(join(program.folder, 'boxship-layers.lock'), 'utf8');
    await rename(join(upstream, 'git.openembedded.org/bitbake'), join(upstream, 'gone'));
    const { code, stdout } = await layer('--pin', '--json');
    expect(code).toBe(1);
    const { problems } = (JSON.parse(stdout) as Upstreams).error!;
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ code: 'LAYER_UNREACHABLE' });
    expect(problems[0]!.message).toMatch(/^https:\/\/git\.openembedded\.org\/bitbake cannot be asked .*does not (appear|exist)/);
    expect(await readFile(join(program.folder, 'boxship-layers.lock'), 'utf8')).toBe(lock);
    // --check tells it beside what else is wrong
    expect((await check()).error!.problems.map((one) => one.code).sort()).toEqual(['LAYER_UNREACHABLE', 'WRONG_LAYER_RELEASE']);
  }); // prettier-ignore
});
