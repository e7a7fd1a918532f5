import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { DeviceFacts, EngineFacts } from '@boxship/model';
import { HELLO, service } from '../example-app.ts';
import { exampleFacts } from '../example-facts.ts';
import { textAt } from '../test-images.ts';
import { k3s } from './index.ts';

const GOLDEN = new URL('../../../../test/golden/k3s-units/', import.meta.url).pathname;
const SCRIPT = new URL('../../../../templates/engines/k3s/apps/[app]/remove-gone.sh', import.meta.url).pathname;

const withK3s = (change: Partial<EngineFacts> = {}): DeviceFacts => ({
  ...exampleFacts,
  engines: [{ name: 'k3s', version: '1.34.1', program: '/usr/local/bin/k3s', unit: 'k3s.service', composePlugin: false, ...change }],
}); // prettier-ignore
const start = (app = HELLO, rest = {}) => k3s.start(app, new Map(), withK3s(), { epoch: 1_700_000_000, console: true, ...rest }); // prettier-ignore

describe('what starts an app', () => {
  it('is the golden tree', async () => {
    const paths = [...start().entries()].filter(({ type }) => type === 'file').map(({ path }) => path);
    for (const path of paths) await expect(await textAt(start().entries(), path)).toMatchFileSnapshot(join(GOLDEN, path));
    const golden = await readdir(GOLDEN, { recursive: true, withFileTypes: true });
    const names = golden.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(names.sort()).toEqual(paths.map((path) => join(GOLDEN, path)).sort());
  }); // prettier-ignore

  it('is refused with the line of what a pod has no word for, and with what starts other engines', () => {
    const app = { ...HELLO, services: [service('a', { where: { file: 'c.yaml', line: 3, column: 3 }, settings: { runtime: 'x' } })] }; // prettier-ignore
    expect(() => start(app)).toThrow(/^c\.yaml:3:3: the service "a" has "runtime"/);
    expect(() => start(HELLO, { start: 'quadlet' })).toThrow('engine.start is quadlet, which is not for k3s');
  });
});

describe('a base image', () => {
  const check = (change: Partial<EngineFacts>) => () => k3s.check({ facts: withK3s(change), engine: { name: 'k3s' } });
  const file = '/etc/rancher/k3s/config.yaml';

  it('is taken when it says nothing that matters', () => {
    check({ execStart: '/usr/local/bin/k3s server --data-dir /var/lib/rancher/k3s/ --disable traefik' })();
    check({ serverConfig: [{ name: 'docker', value: 'false', file }, { name: 'snapshotter', value: 'overlayfs', file }] })(); // prettier-ignore
  });

  it.each([
    [{ execStart: '/usr/local/bin/k3s server -d /srv/k3s' }, 'data-dir: /srv/k3s (ExecStart of k3s.service)'],
    [{ execStart: '/usr/local/bin/k3s server --snapshotter=native' }, 'snapshotter: native (ExecStart'],
    [{ execStart: '/usr/local/bin/k3s agent --server https://10.0.0.1' }, 'k3s agent (ExecStart of k3s.service)'],
    [{ execStart: '/usr/local/bin/k3s server --docker' }, 'docker (ExecStart'],
    [{ serverConfig: [{ name: 'disable-agent', value: 'true', file }] }, `disable-agent: true (${file})`],
    [{ serverConfig: [{ name: 'container-runtime-endpoint', value: '/run/containerd/containerd.sock', file }] }, `(${file})`],
  ])('is refused with what collides: %j', (change, said) => {
    expect(check(change)).toThrow(said);
    expect(check(change)).toThrow(expect.objectContaining({ code: 'ENGINE_CONFLICT' }) as Error);
  }); // prettier-ignore

  it('is always said to be unproven, and images that k3s would pull are told', () => {
    const codes = (images?: readonly string[], change: Partial<EngineFacts> = {}) =>
      k3s.warnings({ facts: withK3s(change), engine: { name: 'k3s', ...(images ? { images } : {}) } }).map(({ code }) => code).filter((code) => code.startsWith('K3S_')); // prettier-ignore
    expect(codes()).toEqual(['K3S_UNPROVEN', 'K3S_IMAGE_MISSING', 'K3S_IMAGE_MISSING']);
    const both = ['docker.io/rancher/mirrored-coredns-coredns:1.12.3', 'docker.io/rancher/mirrored-pause:3.6'];
    expect(codes(both)).toEqual(['K3S_UNPROVEN']);
    expect(codes(both, { version: '1.23.17' })).toEqual(['K3S_UNPROVEN', 'K3S_UNTRIED']);
    const own = [{ name: 'pause-image', value: 'acme/pause:1', file }, { name: 'disable', value: 'traefik,coredns', file }]; // prettier-ignore
    expect(codes(both, { serverConfig: own })).toEqual(['K3S_UNPROVEN', 'K3S_IMAGE_MISSING']);
    expect(codes(['docker.io/acme/pause:1'], { serverConfig: own })).toEqual(['K3S_UNPROVEN']);
  });
});

describe('remove-gone.sh', () => {
  let folder = '';
  const manifests = () => join(folder, 'var/lib/rancher/k3s/server/manifests');
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'boxship-k3s-'));
    await mkdir(manifests(), { recursive: true });
    await mkdir(join(folder, 'run/boxship/verify'), { recursive: true });
    await writeFile(join(folder, 'run/boxship/verify/names'), 'apps/new/manifests/boxship-new.yaml\napps/x/units/a\n');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Runs it with a k3s that writes down what it is asked, and answers with `code`. */
  async function removeGone(code: number): Promise<readonly string[]> {
    const program = join(folder, 'k3s');
    await writeFile(program, `#!/bin/sh\necho "$*" >>'${folder}/asked'\nexit ${code}\n`);
    await chmod(program, 0o755);
    await writeFile(join(folder, 'asked'), '');
    const result = await runProgram('sh', [SCRIPT, program], { env: { BOXSHIP_ROOT: folder }, accept: [0, 1] });
    expect(result.code).toBe(code);
    return (await readFile(join(folder, 'asked'), 'utf8')).trim().split('\n').filter(Boolean);
  }
  const put = (...names: readonly string[]) =>
    Promise.all(names.map((name) => writeFile(join(manifests(), name), 'x\n')));

  it('leaves what is in the store and what is not ours, and asks k3s nothing', async () => {
    await put('boxship-new.yaml', 'coredns.yaml');
    expect(await removeGone(0)).toEqual([]);
    expect((await readdir(manifests())).sort()).toEqual(['boxship-new.yaml', 'coredns.yaml']);
  });

  it('deletes the objects of an app that is gone, and goes on with it the next time when k3s could not', async () => {
    await put('boxship-new.yaml', 'boxship-old.yaml');
    const asked = [
      `kubectl delete --ignore-not-found --wait=false -f ${manifests()}/boxship-old.yaml.gone`,
      'kubectl delete --ignore-not-found --namespace=kube-system addon boxship-old',
    ];
    expect(await removeGone(1)).toEqual(asked);
    expect((await readdir(manifests())).sort()).toEqual(['boxship-new.yaml', 'boxship-old.yaml.gone']);
    expect(await removeGone(0)).toEqual(asked);
    expect(await readdir(manifests())).toEqual(['boxship-new.yaml']);
  });

  it('keeps the objects of an app that came back before they were deleted', async () => {
    await put('boxship-new.yaml', 'boxship-new.yaml.gone');
    expect(await removeGone(0)).toEqual([
      'kubectl delete --ignore-not-found --namespace=kube-system addon boxship-new',
    ]);
    expect(await readdir(manifests())).toEqual(['boxship-new.yaml']);
  });
});
