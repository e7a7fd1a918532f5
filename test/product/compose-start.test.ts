import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { buildTeziImage } from '../fixtures/base-image/tezi.mjs';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { linesOf, shellOn } from './boot-console.ts';
import { boxship, composeSample, makeSampleProduct, type SampleRelease } from './sample-product.ts';

// A vendor's base that has docker compose: the apps start through it, and through nothing else. The vendor gives a root file
// system, the files of the boot partition and a wks, and no image of a disk.

const PLUGIN_FOLDER = 'usr/libexec/docker';
const WKS = `bootloader --ptable gpt --timeout=0
part /boot/efi --source bootimg-efi --ondisk vda --fstype=vfat --label BOOT --align 4096 --fixed-size 64M --mkfs-extraopts "-F 32"
part / --source rootfs --ondisk vda --fstype=ext4 --label RFS --align 4096 --overhead-factor 1.4
`;
const UNIT = 'boxship-gateway_compose.service';

const product = inject('product');
let folder = '';
let made: SampleRelease;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'compose-start-'));
  const base = await vendorParts();
  const sample = await makeSampleProduct({ program: product.program, folder: join(folder, 'product'), base });
  await addHelpers(sample.folder);
  await boxship(sample, 'lock');
  made = await composeSample(sample, 'basic');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The parts as the product file names them; docker compose is the 2.26 of Debian trixie, as a vendor would ship it. */
async function vendorParts(): Promise<string> {
  const tezi = await buildTeziImage();
  const { folder: compose } = await fetchDebianPackage({ suite: 'trixie', package: 'docker-compose' });
  const script = `mkdir bsp bsp/boot; tar -C bsp/boot -xf "$1/boot.tar.xz"; zstd -qd "$1/rootfs.tar.zst" -o bsp/rootfs.tar
    tar -C "$2" --owner=0 --group=0 -rf bsp/rootfs.tar ${PLUGIN_FOLDER}`;
  await runProgram('sh', ['-ec', script, 'sh', tezi, compose], { cwd: folder });
  await writeFile(join(folder, 'bsp/board.wks'), WKS);
  const [rootfs, wks, boot] = ['rootfs.tar', 'board.wks', 'boot'].map((name) => join(folder, 'bsp', name));
  return `{ rootfs: ${rootfs}, wks: ${wks}, files: { /boot/efi: ${boot} } }`;
}

/** Services that only Compose itself starts in their order: the app waits for one that has to end, and for one to be healthy. */
async function addHelpers(productFolder: string): Promise<void> {
  const file = join(productFolder, 'apps/gateway/compose.yaml');
  const helpers = `  first:
    image: registry.example.com/acme/gateway:1.0
    entrypoint: ["/bin/sh", "-c", "echo first is done; echo first >> /data/order"]
    volumes: ["data:/data"]
  second:
    image: registry.example.com/acme/gateway:1.0
    entrypoint: ["/bin/sh", "-c", "echo second >> /data/order; touch /tmp/ready; exec sleep 86400"]
    volumes: ["data:/data", "/anonymous"]
    init: true
    healthcheck: { test: ["CMD", "test", "-e", "/tmp/ready"], interval: 2s, timeout: 60s, retries: 30 }
    depends_on: { first: { condition: service_completed_successfully } }
`;
  const wait = '    depends_on: { second: { condition: service_healthy } }\n';
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/(\n {4}image: .*\n)/, `$1${wait}`).replace('\nvolumes:', `\n${helpers}volumes:`));
}

describe('a device whose base, a root file system and a wks, has docker compose', () => {
  it('runs the app through it: in order, offline, from verified images; stopping keeps the named volume alone', async () => {
    await using machine = await startMachine({ image: made.image, firmware: 'uefi', diskSize: 2 * 1024 ** 3 });
    await linesOf(machine, /boxship-demo: gateway 1\.0 is up \(29 checks ok\)/);
    const shell = await shellOn(machine);
    expect(await shell.must('findmnt -n -o SOURCE /')).toBe('/dev/vda2');
    expect(await shell.must('blkid -o value -s LABEL /dev/vda1 /dev/vda2')).toBe('BOOT\nRFS');
    expect(await shell.must('sfdisk --verify /dev/vda 2>&1')).toContain('No errors detected.');
    expect(await shell.must('docker compose ls --quiet')).toBe('gateway');
    expect(await shell.must(`systemctl show -p ActiveState --value ${UNIT}`)).toBe('active');
    expect(await shell.must('cat /var/lib/docker/volumes/gateway_data/_data/order | tr "\\n" " "')).toBe(
      'first second ',
    );
    const ps = "docker ps -a --format '{{.Names}} {{.State}}' | sort";
    expect(await shell.must(ps)).toBe('gateway-first-1 exited\ngateway-gateway-1 running\ngateway-second-1 running');
    expect(await shell.must("docker inspect --format '{{.Config.Image}}' gateway-gateway-1")).toMatch(
      /^sha256:[0-9a-f]{64}$/,
    );
    expect(await shell.must("docker inspect --format '{{.State.Health.Status}}' gateway-second-1")).toBe('healthy');
    // the journal has each line once, as text
    expect(await shell.must('journalctl -b -o cat -t gateway-first | cat -A')).toBe('first is done$');
    expect((await shell.run("journalctl -b -o cat | grep -i -E 'pulling|building'")).output).toBe('');

    await shell.must(`systemctl stop ${UNIT}`, 300_000);
    expect(await shell.must('docker ps -aq | wc -l')).toBe('0');
    expect(await shell.must('docker volume ls -q')).toBe('gateway_data');
    expect(await shell.must("docker network ls --format '{{.Name}}' | grep -c gateway || true")).toBe('0');
    expect(await shell.must(`systemctl show -p Result --value ${UNIT}`)).toBe('success');
    machine.console.type('\n');
    await shell.must(`systemctl start ${UNIT}`, 300_000);
    await linesOf(
      machine,
      /boxship-demo: gateway 1\.0 has started 2 times, first as 1\.0/,
      /boxship-demo: gateway 1\.0 is up/, // of this start: the console has nothing more to say then
    );
    expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
    console.log(`docker compose, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
  });
});
