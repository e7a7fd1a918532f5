import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject } from 'vitest';
import { startMachine, type Machine, type Shell } from '@boxship/boot';
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

let scratch = '';
let machine: Machine | undefined;
let shell: Shell;
let door: Server;
let apps: readonly string[];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'boxship-oeqa-device-'));
});
afterAll(async () => {
  door?.close();
  await machine?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** The composed sample image, booted once for all releases: its cases hold for a device, not for what built it. */
async function boot(): Promise<void> {
  if (machine) return;
  const { image: base } = await buildBaseImage();
  const product = await makeSampleProduct({ program: inject('program'), folder: join(scratch, 'product'), base });
  const { image } = await composeSample(product);
  machine = await startMachine({ image, firmware: 'direct' });
  await linesOf(machine, /boxship-demo: gateway 1\.0 is up/, /boxship-demo: hmi 1\.0 is up/);
  shell = await shellOn(machine);
  const wants = await shell.must('systemctl show --property=Wants --value boxship-apps.target');
  apps = wants.split(/\s+/);
  let turn: Promise<unknown> = Promise.resolve();
  door = createServer({ allowHalfOpen: true }, (socket) => {
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
  await new Promise<void>((done) => door.listen(join(scratch, 'door'), done));
}

/**
 * The case of meta-boxship in the runner of openembedded-core, on a device that has booted: compose has made it of the sample
 * base image. It has no network card, so that commands go over its serial console instead of ssh.
 */
for (const release of releaseNames) {
  describe(`${release}, docker`, () => {
    let layer: GeneratedLayer;
    beforeAll(async () => {
      layer = await generateLayer(release, 'docker');
    });
    const inputs = () => [META_BOXSHIP, layer.path, import.meta.filename];
    const options = { release, checkouts: ['openembedded-core', 'bitbake'], inputs, obstacle: qemuObstacle };
    proof(`${release}/docker/oeqa-device`, options, async () => {
      await boot();
      const folder = await mkdtemp(join(scratch, 'run-'));
      const run = await makeOeqaRun(folder, layer, SSH);
      const verdicts = () => runOeqaCases(run, release, { BOXSHIP_DOOR: join(scratch, 'door') });
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

async function qemuObstacle(): Promise<string | undefined> {
  const { code } = await runProgram('which', ['qemu-system-x86_64'], { accept: [0, 1] });
  return code === 0 ? undefined : 'the device is emulated: apt-get install qemu-system-x86, or npm run setup';
}
