import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildSampleImages, type SampleImage } from '../fixtures/images/build.mjs';
import { DOCKER_SUITES, whyNoDockerd, withDockerd, type Docker, type DockerVersion } from '../lab/engine-roots.mjs';
import { checkFilesystem, copyRange, withMount } from './partition-file.ts';
import { readSampleRelease } from './sample-product.ts';

const product = inject('product');
const GATEWAY = 'registry.example.com/acme/gateway';
const HMI = 'registry.example.com/acme/hmi';
const ONCE = ['run', '--rm', '--network', 'none', '-e', 'BOXSHIP_DEMO_ONCE=1'];
const UP = 'boxship-demo: gateway 1.0 is up (29 checks ok)';

let folder = '';
let images: Record<'gateway' | 'hmi', SampleImage>;
let young = '';

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'engines-'));
  images = buildSampleImages({ folder: join(folder, 'images'), version: '1.0' }); // the same bytes as the product's
  const next = buildSampleImages({ folder: join(folder, 'next'), version: '2.0' }).gateway;
  young = join(folder, 'gateway-2.0.tar');
  const [from, to] = [`oci:${next.folder}:${next.name}`, `docker-archive:${young}:${GATEWAY}:2.0`];
  await runProgram('skopeo', ['--insecure-policy', 'copy', '-q', from, to]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(whyNoDockerd())('the store, opened by a real docker', () => {
  it.each(Object.keys(DOCKER_SUITES) as DockerVersion[])('%s: lives its whole life', async (version) => {
    const made = await readSampleRelease(product.folder, 'pro');
    const partition = join(folder, `store-${version}.img`);
    await copyRange(made.image, made.partition('store'), partition);
    const mountPoint = join(folder, `store-${version}`);
    await withMount(partition, mountPoint, 'rw', async () => {
      const dataRoot = join(mountPoint, 'docker');
      await withDockerd({ version, dataRoot }, async (docker) => {
        await checkNames(docker);
        await checkRuns(docker);
        await checkSave(docker, version);
        await checkCommit(docker);
        await checkLoad(docker, dataRoot);
        await checkRemove(docker, dataRoot);
        expect(complaints(docker)).toEqual([]);
      });
      await withDockerd({ version, dataRoot }, async (docker) => {
        expect(await docker.run('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe(`${HMI}:1.0`);
        expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain('boxship-demo: hmi 1.0 is up');
        expect(complaints(docker)).toEqual([]);
      });
    });
    await checkFilesystem(partition);
    await rm(partition);
  });
});

/** The daemon drops what it does not understand with a line in its log and goes on. */
const complaints = (docker: Docker) =>
  docker
    .log()
    .split('\n')
    .filter((line) => /level=(error|fatal)|layer.*(fail|invalid|not found|missing)|(fail|invalid).*layer/i.test(line))
    // containerd telling a shim, whose container has just ended, something over its socket: on a busy machine, of no store
    .filter((line) => !/failed sending message on channel.*sock\.ttrpc.*broken pipe/.test(line));

async function checkNames(docker: Docker): Promise<void> {
  const listed = await docker.run('images', '--digests', '--format', '{{.Repository}}:{{.Tag}} {{.Digest}}');
  for (const [name, { digest, manifest }] of Object.entries(images)) {
    const repository = `registry.example.com/acme/${name}`;
    expect(listed).toContain(`${repository}:1.0 ${digest}`);
    const format = '{{json .RepoDigests}}';
    const digests = JSON.parse(
      await docker.run('image', 'inspect', '--format', format, `${repository}:1.0`),
    ) as string[];
    expect(digests.sort()).toEqual([...new Set([`${repository}@${digest}`, `${repository}@${manifest}`])].sort());
  }
}

async function checkRuns(docker: Docker): Promise<void> {
  const { digest, manifest } = images.gateway;
  for (const name of [`${GATEWAY}:1.0`, `${GATEWAY}@${digest}`, `${GATEWAY}@${manifest}`]) {
    expect(await docker.run(...ONCE, '--pull', 'never', name)).toContain(UP);
  }
  expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain('boxship-demo: hmi 1.0 is up (16 checks ok)');
}

/** What goes out again is, layer by layer, the bytes that came in. */
async function checkSave(docker: Docker, version: string): Promise<void> {
  for (const name of [`${GATEWAY}:1.0`, `${HMI}:1.0`]) {
    const archive = join(folder, `saved-${version}.tar`);
    await docker.run('save', '-o', archive, name);
    const member = async (path: string) => (await runProgram('tar', ['-x', '-O', '-f', archive, path])).stdout;
    const [manifest] = JSON.parse((await member('manifest.json')).toString()) as { Config: string; Layers: string[] }[];
    const config = await member(manifest!.Config);
    const { rootfs } = JSON.parse(config.toString()) as { rootfs: { diff_ids: string[] } };
    const hashes: string[] = [];
    for (const layer of manifest!.Layers) hashes.push(sha256(await member(layer)));
    expect(hashes).toEqual(rootfs.diff_ids);
    expect(sha256(config)).toBe(await docker.run('image', 'inspect', '--format', '{{.Id}}', name));
    await rm(archive);
  }
}

async function checkCommit(docker: Docker): Promise<void> {
  const change = 'rm /opt/app/kept.txt && echo changed >/opt/app/new.txt';
  await docker.run(
    'run',
    '--name',
    'changed',
    '--network',
    'none',
    '--entrypoint',
    '/bin/sh',
    `${GATEWAY}:1.0`,
    '-c',
    change,
  );
  await docker.run('commit', 'changed', 'local/changed:1');
  await docker.run('rm', 'changed');
  const look = 'ls /opt/app/kept.txt 2>&1; cat /opt/app/new.txt';
  const seen = await docker.run(
    'run',
    '--rm',
    '--network',
    'none',
    '--entrypoint',
    '/bin/sh',
    'local/changed:1',
    '-c',
    look,
  );
  expect(seen).toMatch(/No such file[^]*changed/);
  await docker.run('rmi', 'local/changed:1');
}

const layersIn = async (dataRoot: string) =>
  (await readdir(join(dataRoot, 'overlay2'))).filter((name) => /^[0-9a-z]{25,64}$/.test(name)).sort();

/** Version 2.0 differs in its last layer alone: the others must be recognised as there. */
async function checkLoad(docker: Docker, dataRoot: string): Promise<void> {
  const before = await layersIn(dataRoot);
  await docker.run('load', '-i', young);
  const after = await layersIn(dataRoot);
  expect(after.filter((name) => !before.includes(name))).toHaveLength(1);
  expect(before.filter((name) => !after.includes(name))).toEqual([]);
  expect(await docker.run(...ONCE, `${GATEWAY}:2.0`)).toContain('boxship-demo: gateway 2.0 is up (29 checks ok)');
}

/** Layers that another image needs stay, the others go. */
async function checkRemove(docker: Docker, dataRoot: string): Promise<void> {
  await docker.run('rmi', `${GATEWAY}:2.0`);
  expect(await docker.run(...ONCE, `${GATEWAY}:1.0`)).toContain(UP);
  await docker.run('rmi', `${GATEWAY}:1.0`); // its only tag: the names by digest go with it
  expect(await docker.run('images', '-q', GATEWAY)).toBe('');
  await docker.run('image', 'prune', '-f'); // dangling ones alone
  const { stdout } = await runProgram('skopeo', ['inspect', `oci:${images.hmi.folder}:${images.hmi.name}`]);
  expect(await layersIn(dataRoot)).toHaveLength((JSON.parse(stdout.toString()) as { Layers: string[] }).Layers.length);
  expect(await docker.run(...ONCE, `${HMI}:1.0`)).toContain('boxship-demo: hmi 1.0 is up');
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
