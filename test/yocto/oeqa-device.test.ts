import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject } from 'vitest';
import { startMachine, type Shell } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { linesOf, shellOn } from '../product/boot-console.ts';
import { composeSample, makeSampleProduct } from '../product/sample-product.ts';
import { META_BOXSHIP, generateLayer, releaseNames, type GeneratedLayer } from './layers-under-test.ts';
import { makeOeqaRun, runOeqaCases } from './oeqa-runner.ts';
import { proof } from './results.ts';

/** Milliseconds that a command of a case may take; the cases themselves allow 300 s. */
const COMMAND_TIMEOUT = 300_000;
/** In the place of ssh: hands the command to the shell on the device's serial console. */
const SSH = `#!/usr/bin/env python3
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.connect(os.environ['BOXSHIP_DOOR'])
    door.sendall(sys.argv[-1].encode())
    door.shutdown(socket.SHUT_WR)
    answer = json.loads(door.makefile().read())
print(answer['output'])
sys.exit(answer['code'])
`;

/** Engines that the sample base images have. */
const ENGINES = [
  { engine: 'docker' },
  { engine: 'podman' },
  { engine: 'containerd', hostNetwork: true }, // it makes no network for its containers
] as const;
type Engine = (typeof ENGINES)[number]['engine'];

/**
 * The case of meta-boxship in the runner of openembedded-core, on a device that has booted: compose has made it of the sample
 * base image. It has no network card, so that commands go over its serial console instead of ssh. One boot is for all releases:
 * the case asks a device, whatever has built it.
 */
for (const { engine, ...network } of ENGINES) {
  describe(`a device with ${engine}`, () => {
    let scratch = '';
    let device: Promise<Device> | undefined;
    beforeAll(async () => {
      scratch = await mkdtemp(join(tmpdir(), 'boxship-oeqa-device-'));
    });
    afterAll(async () => {
      await device?.then(({ off }) => off()).catch(() => {}); // a test has told it
      await rm(scratch, { recursive: true, force: true });
    });

    for (const release of releaseNames) {
      describe(release, () => {
        let layer: GeneratedLayer;
        beforeAll(async () => {
          layer = await generateLayer(release, engine);
        });
        const inputs = () => [META_BOXSHIP, layer.path, import.meta.filename];
        const options = { release, checkouts: ['openembedded-core', 'bitbake'], inputs, obstacle: qemuObstacle };
        proof(`${release}/${engine}/oeqa-device`, options, async () => {
          device ??= bootDevice(scratch, engine, network);
          const { shell, door } = await device;
          const apps = (await shell.must('systemctl show --property=Wants --value boxship-apps.target')).split(/\s+/);
          const run = await makeOeqaRun(await mkdtemp(join(scratch, 'run-')), layer, SSH);
          const verdicts = () => runOeqaCases(run, release, { BOXSHIP_DOOR: door });
          const good = { socket: 'PASSED', engine: 'PASSED', store: 'PASSED', apps: 'PASSED' };
          expect(await verdicts()).toEqual(good);
          // an app that does not run is told
          await shell.must(`systemctl stop ${apps[0]}`);
          expect(await verdicts()).toEqual({ ...good, apps: 'FAILED' });
          await shell.must(`systemctl start ${apps[0]}`);
          expect(await verdicts()).toEqual(good);
          return { runs: 3, cases: 4, apps: apps.length };
        });
      });
    }
  });
}

interface Device {
  readonly shell: Shell;
  /** Path of a socket that takes a command and answers what the device said, as JSON. */
  readonly door: string;
  off(): Promise<void>;
}

async function bootDevice(
  scratch: string,
  engine: Engine,
  network: { readonly hostNetwork?: boolean },
): Promise<Device> {
  const { image: base } = await buildBaseImage({ engine });
  const folder = join(scratch, 'product');
  const product = await makeSampleProduct({ program: inject('program'), folder, base, engine, ...network });
  const { image } = await composeSample(product);
  const machine = await startMachine({ image, firmware: 'direct' });
  try {
    await linesOf(machine, /boxship-demo: gateway 1\.0 is up/, /boxship-demo: hmi 1\.0 is up/);
    const shell = await shellOn(machine);
    const door = join(scratch, 'door');
    const server = await openDoor(door, shell);
    return {
      shell,
      door,
      async off() {
        server.close();
        await machine[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw error;
  }
}

/** Listens on a socket, for one command in a connection; the device has one console, so that they take turns. */
async function openDoor(path: string, shell: Shell): Promise<Server> {
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => {
      const command = Buffer.concat(chunks).toString();
      turn = turn
        .then(() => shell.run(command, COMMAND_TIMEOUT))
        .then((answer) => socket.end(JSON.stringify(answer)))
        .catch((error: unknown) => socket.destroy(error as Error));
    });
    socket.on('error', () => {}); // the runner sees that no answer came
  });
  await new Promise<void>((done) => server.listen(path, done));
  return server;
}

async function qemuObstacle(): Promise<string | undefined> {
  const { code } = await runProgram('which', ['qemu-system-x86_64'], { accept: [0, 1] });
  return code === 0 ? undefined : 'the device is emulated: apt-get install qemu-system-x86, or npm run setup';
}
