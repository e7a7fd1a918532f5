import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readComposeFile } from '@boxship/compose-spec';
import { engines } from '@boxship/engines';
import { runProgram } from '@boxship/host';
import type { App, DeviceFacts, Tree } from '@boxship/model';
import { findDockerComposes } from '../../libs/compose-spec/src/fixtures/docker-compose.ts';
import { fearProduct, refusal } from './fear-product.ts';

// Apps that the device's own docker compose starts.

const GOLDEN = fileURLToPath(new URL('../golden/docker-compose/', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../libs/compose-spec/src/fixtures/', import.meta.url));
const composes = await findDockerComposes();

const facts = (composePlugin: boolean, daemonConfig?: Record<string, unknown>): DeviceFacts => ({
  osRelease: {},
  init: 'systemd',
  unitDirectory: '/usr/lib/systemd/system',
  mergedUsr: true,
  selinux: false,
  apparmorParser: true,
  ostree: false,
  readOnlyRoot: false,
  engines: [{ name: 'docker', program: '/usr/bin/dockerd', composePlugin, ...(daemonConfig ? { daemonConfig } : {}) }],
  programs: { docker: '/usr/bin/docker' },
});

const gateway = (): App =>
  readComposeFile({
    path: join(FIXTURES, 'gateway/compose.yaml'),
    projectName: 'gateway',
    environment: { NICK: 'nick' },
  });

const idsOf = (app: App) =>
  new Map(app.services.map(({ image }, index) => [image, `sha256:${String(index).repeat(64).slice(0, 64)}` as const]));

function startOf(
  app: App,
  device: DeviceFacts,
  options: { console?: boolean; start?: 'units' | 'compose' } = {},
): Tree {
  return engines.docker.start(app, idsOf(app), device, { epoch: 1_700_000_000, console: false, ...options });
}

async function filesOf(tree: Tree): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { path, type, content } of tree.entries()) {
    if (type !== 'file') continue;
    const chunks: Uint8Array[] = [];
    if (content) for await (const chunk of content.source.open()) chunks.push(Uint8Array.from(chunk));
    files.set(path, Buffer.concat(chunks).toString());
  }
  return files;
}

const namesOf = (tree: Tree) => [...tree.entries()].map(({ path }) => path);

describe('an app that docker compose starts', () => {
  it('is the golden tree', async () => {
    const files = await filesOf(startOf(gateway(), facts(true), { console: true }));
    for (const [path, text] of files) await expect(text).toMatchFileSnapshot(join(GOLDEN, path));
    const golden = await readdir(GOLDEN, { recursive: true, withFileTypes: true });
    const names = golden.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(names.sort()).toEqual([...files.keys()].map((path) => join(GOLDEN, path)).sort());
  });

  it('is started so where the base image has docker compose, and otherwise not; the product file may choose', () => {
    const app = gateway();
    const unit = 'apps/gateway/units/boxship-gateway_compose.service';
    expect(namesOf(startOf(app, facts(true)))).toContain(unit);
    expect(namesOf(startOf(app, facts(false)))).not.toContain(unit);
    expect(namesOf(startOf(app, facts(true), { start: 'units' }))).toEqual(namesOf(startOf(app, facts(false))));
    expect(() => startOf(app, facts(false), { start: 'compose' })).toThrow(
      expect.objectContaining({ code: 'COMPOSE_MISSING' }) as Error,
    );
  });

  it("leaves the vendor's log driver, and that of a service, as it is; then the unit has the output", async () => {
    const files = await filesOf(startOf(gateway(), facts(true, { 'log-driver': 'json-file' })));
    const override = JSON.parse(files.get('apps/gateway/compose.device.json')!) as { services: Record<string, object> };
    for (const service of Object.values(override.services)) expect(Object.keys(service)).toEqual(['image']);
    expect(files.get('apps/gateway/units/boxship-gateway_compose.service')).toContain('\nStandardOutput=journal\n');
  });

  it('lets the engine write to the journal when nobody has chosen another log; the console gets what Compose prints', async () => {
    const app = gateway();
    const plain = {
      ...app,
      services: app.services.map((one) => ({ ...one, settings: { ...one.settings, logging: undefined } })),
    } as unknown as App;
    for (const [console, output] of [
      [false, 'null'],
      [true, 'tty'],
    ] as const) {
      const files = await filesOf(startOf(plain, facts(true), { console }));
      const override = JSON.parse(files.get('apps/gateway/compose.device.json')!) as {
        services: Record<string, { logging: object }>;
      };
      expect(override.services['app']!.logging).toEqual({ driver: 'journald', options: { tag: 'gateway-app' } });
      expect(files.get('apps/gateway/units/boxship-gateway_compose.service')).toContain(`\nStandardOutput=${output}\n`);
    }
  });

  it.each(composes)(
    '$name accepts what lies on the device: images by id, nothing else changed',
    async ({ command }) => {
      const scratch = await mkdtemp(join(tmpdir(), 'boxship-compose-start-'));
      try {
        const app = gateway();
        for (const [path, text] of await filesOf(startOf(app, facts(true)))) {
          await mkdir(dirname(join(scratch, path)), { recursive: true });
          await writeFile(join(scratch, path), text);
        }
        const folder = join(scratch, 'apps/gateway');
        const config = async (...files: string[]) => {
          const words = [
            '--project-directory',
            folder,
            '--env-file=/dev/null',
            ...files.map((file) => `--file=${join(folder, file)}`),
          ];
          const { stdout } = await runProgram(command[0]!, [...words, 'config', '--format', 'json']);
          return JSON.parse(stdout.toString()) as { services: Record<string, Record<string, unknown>> };
        };
        const plain = await config('compose.yaml');
        const merged = await config('compose.yaml', 'compose.device.json');
        for (const { name, image, settings } of app.services) {
          expect(merged.services[name]!['image'], name).toBe(idsOf(app).get(image));
          if (!settings.logging)
            expect(merged.services[name]!['logging']).toEqual({
              driver: 'local',
              options: { 'max-size': '1m', 'max-file': '2' },
            });
          plain.services[name]!['image'] = merged.services[name]!['image'];
          if (!settings.logging) plain.services[name]!['logging'] = merged.services[name]!['logging'];
        }
        expect(merged).toEqual(plain);
        // every option of the unit is known to this version; the only complaint is that there is no daemon
        const help = async (verb: string) => (await runProgram(command[0]!, [verb, '--help'])).stdout.toString();
        for (const option of ['--pull', '--no-build', '--no-color', '--remove-orphans'])
          expect(await help('up')).toContain(option);
        for (const option of ['--stop', '--force', '--volumes']) expect(await help('rm')).toContain(option);
      } finally {
        await rm(scratch, { recursive: true, force: true });
      }
    },
  );

  it('systemd-analyze has no word of complaint of its unit', async () => {
    const has = await runProgram('systemd-analyze', ['--version']).then(
      () => true,
      () => false,
    );
    if (!has && process.env['CI'] === 'true') throw new Error('systemd-analyze is missing');
    if (!has) return;
    const folder = await mkdtemp(join(tmpdir(), 'boxship-compose-unit-'));
    try {
      const stub = '[Service]\nExecStart=/bin/true\n';
      await writeFile(join(folder, 'docker'), '#!/bin/sh\n', { mode: 0o755 });
      for (const name of ['docker.service', 'boxship-verify.service']) await writeFile(join(folder, name), stub);
      await writeFile(join(folder, 'boxship-apps.target'), '[Unit]\n');
      const unit = join(folder, 'boxship-gateway_compose.service');
      const text = (await filesOf(startOf(gateway(), facts(true)))).get(
        'apps/gateway/units/boxship-gateway_compose.service',
      )!;
      await writeFile(unit, text.replaceAll('/usr/bin/docker', join(folder, 'docker')));
      const env = { SYSTEMD_UNIT_PATH: `${folder}:` };
      const result = await runProgram('systemd-analyze', ['verify', '--man=no', unit], { env, accept: [0, 1] });
      const words = `${result.stdout.toString()}${result.stderr}`.split('\n');
      expect(words.filter((line) => line.includes('boxship-gateway'))).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('engine.start in the product file', () => {
  const engine = (text: string) => (yaml: string) => yaml.replace('apps:\n', `engine: ${text}\napps:\n`);

  it('compose on a base without docker compose is refused before anything is written', async () => {
    await using product = await fearProduct({ yaml: engine('{ name: docker, start: compose }') });
    await product.lock();
    expect((await refusal(product.compose())).code).toBe('COMPOSE_MISSING');
    expect(await product.outputs()).toEqual({});
  });

  it('is read with its place', async () => {
    await using product = await fearProduct({ yaml: engine('{ name: docker, start: compse }') });
    const { problems } = await refusal(product.lock());
    expect(problems[0]!.where).toMatchObject({ line: 6 });
    expect(problems[0]!.message).toContain('start');
  });

  it('auto takes the docker compose of the base', async () => {
    const files = { 'usr/libexec/docker/cli-plugins/docker-compose': '#!/bin/true\n' };
    await using product = await fearProduct({ base: { files }, yaml: engine('{ name: docker, start: auto }') });
    await product.lock();
    expect((await product.plan())[0]!.variant.engine).toEqual({ name: 'docker' });
    await product.compose();
  });
});
