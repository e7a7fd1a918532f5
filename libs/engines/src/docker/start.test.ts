import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App, DeviceFacts, Tree } from '@boxship/model';
import { runProgram } from '@boxship/host';
import { GATEWAY, HELLO, IMAGE, IMAGE_ID, NASTY, service } from '../example-app.ts';
import { containerArguments } from '../run-units/run-arguments.ts';
import { SYSTEMD, commandLinesOf } from '../run-units/systemd-dump.ts';
import { startDockerApp } from './start-app.ts';
import { dockerUnits } from './start.ts';

const GOLDEN = new URL('../../../../test/golden/docker-units/', import.meta.url).pathname;
const LOG = { options: [] };

const FACTS: DeviceFacts = {
  osRelease: {},
  init: 'systemd',
  systemdVersion: 252,
  unitDirectory: '/usr/lib/systemd/system',
  mergedUsr: true,
  selinux: false,
  apparmorParser: true,
  ostree: false,
  readOnlyRoot: false,
  engines: [{ name: 'docker', program: '/usr/bin/dockerd', composePlugin: false, unit: 'docker.service' }],
  programs: {},
};

const IMAGE_IDS = new Map([[IMAGE, IMAGE_ID]]);
const unitsOf = (app: App, console = false) => dockerUnits(app, IMAGE_IDS, FACTS, { epoch: 1700000000, console });

async function readTree(tree: Tree): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of tree.entries()) {
    if (entry.type !== 'file') continue;
    const chunks: Uint8Array[] = [];
    if (entry.content) for await (const chunk of entry.content.source.open()) chunks.push(Uint8Array.from(chunk));
    files.set(Buffer.from(entry.path, 'latin1').toString(), Buffer.concat(chunks).toString());
  }
  return files;
}

/** A visible skip where a tool is missing, and a failure in CI. */
async function available(program: string): Promise<boolean> {
  try {
    await runProgram(program, ['--version']);
    return true;
  } catch {
    if (process.env['CI'] === 'true') throw new Error(`${program} is missing`);
    return false;
  }
}

const hasSystemd = (await available(SYSTEMD)) && (await available('systemd-analyze'));
const hasDocker = await available('docker');

describe('the units of an app', () => {
  it.each([
    ['gateway', GATEWAY, false],
    ['hello', HELLO, true],
  ])('are the golden tree: %s', async (name, app, console) => {
    const files = await readTree(unitsOf(app, console));
    for (const [path, text] of files) await expect(text).toMatchFileSnapshot(join(GOLDEN, name, path));
    const golden = await readdir(join(GOLDEN, name), { recursive: true, withFileTypes: true });
    const names = golden.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(names.sort()).toEqual([...files.keys()].map((path) => join(GOLDEN, name, path)).sort());
  });

  it('has directories before what they hold, and each path once', () => {
    const seen = new Set(['.']);
    for (const { path } of unitsOf(GATEWAY).entries()) {
      expect(seen).toContain(dirname(path));
      expect(seen).not.toContain(path);
      seen.add(path);
    }
  });

  it('refuses an image that was not given, and a name that a unit cannot have', () => {
    expect(() => dockerUnits(HELLO, new Map(), FACTS, { epoch: 0 })).toThrow(/no image id/);
    expect(() => unitsOf({ ...HELLO, services: [service('a b')] })).toThrow(/name of a unit/);
  });
});

describe('where the base image has docker compose', () => {
  const facts = { ...FACTS, engines: [{ ...FACTS.engines[0]!, composePlugin: true }] };
  const start = async (app: App, how?: 'units' | 'compose') =>
    await readTree(startDockerApp(app, IMAGE_IDS, facts, { epoch: 0, console: false, ...(how ? { start: how } : {}) }));
  const sensor: App = { ...HELLO, services: [service('sensor', { deviceNodes: ['/dev/i2c-*'] })] };

  it('an app that asks for hardware by class is started by units all the same', async () => {
    expect([...(await start(HELLO)).keys()]).toContain('apps/hello/units/boxship-hello_compose.service');
    expect([...(await start(sensor)).keys()]).toContain('apps/hello/with-devices.sh');
    await expect(start(sensor, 'compose')).rejects.toThrow(/asks for hardware by class/);
  });

  it('a credential is that of the one unit', async () => {
    const place = { from: 'credential', credential: 'acme.key' } as const;
    const files = await start({ ...HELLO, secrets: [{ name: 'key', place }] });
    expect(files.get('apps/hello/units/boxship-hello_compose.service')).toContain('\nLoadCredential=key:acme.key\n');
    expect(JSON.parse(files.get('apps/hello/compose.device.json')!)).toMatchObject({
      secrets: { key: { file: '/run/credentials/boxship-hello_compose.service/key' } },
    });
  });
});

describe.skipIf(!hasSystemd)('systemd', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'boxship-units-'));
    await chmod(folder, 0o755); // systemd's test mode runs as somebody else
    const stub = '[Service]\nExecStart=/bin/true\n';
    // the verifier wants every program to be there, and this machine may have no docker
    await writeFile(join(folder, 'docker'), '#!/bin/sh\n', { mode: 0o755 });
    await writeFile(join(folder, 'docker.service'), stub);
    await writeFile(join(folder, 'boxship-verify.service'), stub);
    await writeFile(join(folder, 'boxship-apps.target'), '[Unit]\nWants=boxship-gateway-app.service\n');
    for (const [path, text] of await readTree(unitsOf(GATEWAY))) {
      if (!path.includes('/units/')) continue;
      await writeFile(join(folder, path.slice(path.lastIndexOf('/') + 1)), text.replaceAll('/usr/bin/docker', join(folder, 'docker'))); // prettier-ignore
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('has no word of complaint (systemd-analyze verify)', async () => {
    await writeFile(join(folder, 'boxship-gateway-bad.service'), '[Service]\nExecStart=/bin/echo "a\nRestrat=no\n');
    const units = (await readdir(folder)).filter((name) => name.startsWith('boxship-gateway'));
    expect(units).toHaveLength(11);
    const result = await runProgram('systemd-analyze', ['verify', '--man=no', ...units.map((unit) => join(folder, unit))], { env: { SYSTEMD_UNIT_PATH: `${folder}:` }, accept: [0, 1] }); // prettier-ignore
    const complaints = `${result.stdout.toString()}${result.stderr}`.split('\n').filter((line) => line.includes('boxship-gateway')); // prettier-ignore
    expect(complaints.filter((line) => !line.includes('gateway-bad'))).toEqual([]);
    expect(complaints.length, 'the bad unit is told of').toBeGreaterThan(0);
    await rm(join(folder, 'boxship-gateway-bad.service'));
  });

  it('reads every command line as it was meant (systemd --test)', async () => {
    const lines = await commandLinesOf(folder, 'boxship-apps.target');
    const docker = join(folder, 'docker');
    const app = containerArguments(GATEWAY, GATEWAY.services[0]!, IMAGE_ID, { options: ['--log-driver=local', '--log-opt=max-size=1m', '--log-opt=max-file=2'] }); // prettier-ignore
    const ifThere = (...command: string[]) => ['/bin/sh', '/run/boxship/store/apps/gateway/if-there.sh', docker, 'the-app', ...command]; // prettier-ignore
    expect(lines('boxship-gateway-app.service')).toEqual([
      ifThere('rm', '--force', '--volumes'),
      ...['db', 'migrate', 'metrics'].map((name) => expect.arrayContaining([`boxship-gateway-${name}.service`])),
      [docker, 'create', ...app.create],
      [docker, 'network', 'connect', '--alias=app', 'gateway_default', 'the-app'],
      [docker, 'network', 'connect', '--alias=app', 'plant', 'the-app'],
      [docker, 'start', '--attach', 'the-app'],
      ifThere('stop'),
    ]);
    expect(app.create).toContain(`--env=MESSAGE=${NASTY}`);
    expect(lines('boxship-gateway-db.service')).toContainEqual(expect.arrayContaining([docker, 'run', '--health-cmd=pg_isready || exit 1'])); // prettier-ignore
  });
});

describe.skipIf(!hasDocker)('the docker command', () => {
  it.each(GATEWAY.services.map((item) => [item.name, item] as const))('takes every option of %s', async (_, item) => {
    const { create } = containerArguments(GATEWAY, item, IMAGE_ID, LOG);
    // options are parsed before the daemon is asked: the only complaint is that there is none
    const result = await runProgram('docker', ['--host=unix:///nonexistent/docker.sock', 'create', ...create], { accept: [1, 125, 126] }); // prettier-ignore
    expect(result.stderr).toMatch(/Cannot connect to the Docker daemon|no such file or directory/);
  });

  it('complains of an option that it does not know', async () => {
    const result = await runProgram('docker', ['--host=unix:///nonexistent/docker.sock', 'create', '--publish=1:2:3:4', IMAGE_ID], { accept: [1, 125, 126] }); // prettier-ignore
    expect(result.stderr).not.toMatch(/Cannot connect/);
  });
});
