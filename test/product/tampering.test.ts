import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { linesOf, shellOn } from './boot-console.ts';
import { copyRange, flipBit } from './partition-file.ts';
import { readSampleRelease, type SampleRelease } from './sample-product.ts';

let folder = '';
let made: SampleRelease;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'tampering-'));
  made = await readSampleRelease(inject('product').folder, 'pro');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An overlay disk on which one bit of a file of the store is flipped; its checksummed metadata stays as it was. */
async function tamper(path: string): Promise<string> {
  const { start, size } = made.partition('store');
  const store = join(folder, 'store.img');
  await copyRange(made.image, { start, size }, store);
  const { stdout } = await runProgram('debugfs', ['-R', `blocks /${path}`, store]);
  const block = Number(stdout.toString().trim().split(/\s+/)[0]);
  expect(block, `debugfs finds ${path}`).toBeGreaterThan(0);
  await flipBit(store, block * 4096 + 40);
  const overlay = join(folder, `${path.replaceAll('/', '-').slice(-40)}.qcow2`);
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', made.image, overlay]);
  await runProgram('qemu-io', ['-f', 'qcow2', '-c', `write -q -s ${store} ${start} ${size}`, overlay]);
  return overlay;
}

async function expectEngineDown(overlay: string, reason: string): Promise<void> {
  await using machine = await startMachine({ image: made.image, firmware: 'direct', overlay });
  const [why] = await linesOf(machine, /boxship: the container engine stays down: /);
  expect(why).toContain(reason);
  const shell = await shellOn(machine);
  for (const unit of ['docker.service', 'docker.socket', 'containerd.service', 'boxship-apps.service']) {
    expect((await shell.run(`systemctl is-active ${unit}`)).output, unit).toMatch(/^(inactive|failed)$/m);
  }
  // nor does somebody who asks for it get it
  expect((await shell.run('systemctl start docker.service')).code).not.toBe(0);
  expect((await shell.run('pidof dockerd containerd')).output).toBe('');
  expect(machine.console.text()).not.toContain('boxship-demo:');
  console.log(`boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
}

describe('when the store was changed, the engine stays down and the console says why:', () => {
  const imageId = () => made.release.variant.images[0]!.config.digest.slice('sha256:'.length);
  it.each([
    ['store.json', () => 'store.json'],
    ['a unit', () => 'apps/gateway/units/boxship-gateway-gateway.service'],
    ['an image configuration', () => `docker/image/overlay2/imagedb/content/sha256/${imageId()}`],
  ])('one bit of %s', async (_, path) => {
    const overlay = await tamper(path());
    await expectEngineDown(overlay, path());
  });

  it('the start of its file system', async () => {
    const overlay = join(folder, 'no-filesystem.qcow2');
    await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', made.image, overlay]);
    const { start } = made.partition('store');
    await runProgram('qemu-io', ['-f', 'qcow2', '-c', `write -q -P 0xa5 ${start} 64k`, overlay]);
    await expectEngineDown(overlay, 'the store partition vda3 cannot be mounted');
  });
});
