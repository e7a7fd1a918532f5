import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { programPath, runProgram } from '@boxship/host';
import { hasPrograms } from './installed-programs.ts';

/** The scripts as they ship, in a device that is a folder: its sysfs and mount table are files, systemctl a stub. */
const LIB = fileURLToPath(
  new URL('../../../layers/meta-boxship/recipes-core/boxship-socket/files/usr/lib/boxship', import.meta.url),
);
const SHELLS: readonly (readonly string[])[] = [['dash'], ['busybox', 'sh']];
const STORE_UUID = 'aaaaaaaa-1111-4111-8111-111111111111';
const DATA_UUID = 'bbbbbbbb-1111-4111-8111-111111111111';
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' });

class Device implements AsyncDisposable {
  readonly root: string;
  readonly bin: string;

  constructor(root: string) {
    this.root = root;
    this.bin = join(root, 'stub-bin');
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true });
    await writeFile(join(this.root, path), content);
  }

  async link(path: string, target: string): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true });
    await symlink(target, join(this.root, path));
  }

  /** A disk in sysfs with its partitions: name to the lines of their uevent. */
  async disk(name: string, major: number, partitions: readonly string[]): Promise<void> {
    const add = async (path: string, kernelName: string, minor: number, lines: string) => {
      await this.write(`sys/devices/${path}/dev`, `${major}:${minor}\n`);
      await this.write(`sys/devices/${path}/uevent`, `DEVNAME=${kernelName}\n${lines}\n`);
      await this.link(`sys/dev/block/${major}:${minor}`, `../../devices/${path}`);
      await this.link(`sys/class/block/${kernelName}`, `../../devices/${path}`);
      await this.write(`dev/${kernelName}`, '');
    };
    await add(name, name, 0, '');
    for (const [index, lines] of partitions.entries()) {
      await add(`${name}/${name}${index + 1}`, `${name}${index + 1}`, index + 1, lines);
      await this.write(`sys/devices/${name}/${name}${index + 1}/partition`, `${index + 1}\n`);
    }
  }

  async mounts(...lines: readonly string[]): Promise<void> {
    await this.write('proc/self/mountinfo', lines.map((line, index) => `${30 + index} 1 ${line}\n`).join(''));
  }

  async run(shell: readonly string[], script: string, ...args: readonly string[]) {
    const [program, ...rest] = shell;
    const result = await runProgram(program!, [...rest, join(LIB, script), ...args], {
      env: { BOXSHIP_ROOT: this.root, BOXSHIP_LIB: join(this.root, 'lib'), BOXSHIP_ENV: join(this.root, 'lib/socket.env'), PATH: `${this.bin}:${programPath()}` },
      accept: [0, 1],
    }); // prettier-ignore
    return { code: result.code, stdout: result.stdout.toString(), stderr: result.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

async function makeDevice(table: 'gpt' | 'mbr' = 'gpt'): Promise<Device> {
  const device = new Device(await mkdtemp(join(tmpdir(), 'boxship-device-')));
  await device.write('proc/cmdline', 'root=/dev/sda2 ro\n');
  await device.write(
    'lib/socket.env',
    `BOXSHIP_SOCKET_VERSION=1\nBOXSHIP_DEVELOPMENT=false\nBOXSHIP_TABLE=${table}\nBOXSHIP_STORE_UUID=${STORE_UUID}\nBOXSHIP_DATA_UUID=${DATA_UUID}\nBOXSHIP_BINDS="a.mount b.mount"\nBOXSHIP_DATA_FOLDERS="volumes:0701 k/server:0700"\nBOXSHIP_WRITABLE="/etc/engine"\nBOXSHIP_APP_FOLDERS="quadlets:/run/containers/systemd"\n`,
  );
  await device.write('lib/device.sh', await readFile(join(LIB, 'device.sh')));
  await device.write('lib/store.pem', KEY.publicKey.export({ type: 'spki', format: 'pem' }));
  await device.write('stub-bin/systemctl', `#!/bin/sh\necho "$*" >> ${device.root}/calls\ncase "$*" in *"$FAIL_UNIT"*) [ -z "$FAIL_UNIT" ] ;; esac\n`); // prettier-ignore
  await chmod(join(device.bin, 'systemctl'), 0o755);
  await device.write('stub-bin/udevadm', '#!/bin/sh\n');
  await chmod(join(device.bin, 'udevadm'), 0o755);
  return device;
}

const NAMES = ['PARTNAME=BOOT', 'PARTNAME=rootfs', 'PARTNAME=boxship-store', 'PARTNAME=boxship-data'];
const ROOT_ON_SDA2 = '8:2 / / rw,relatime shared:1 - ext4 /dev/root rw';

const present = hasPrograms('dash', 'busybox', 'openssl');

describe.skipIf(!present).each(SHELLS)('locate under %s %s', (...shell) => {
  const roleOf = async (device: Device, name: string) => {
    const { code, stdout } = await device.run(shell, 'locate', name);
    return code === 0 ? stdout.trim() : undefined;
  };

  it('finds partitions by name on the root disk, not on a stick with the same names', async () => {
    await using device = await makeDevice();
    await device.disk('sda', 8, NAMES);
    await device.disk('sdb', 9, NAMES);
    await device.mounts('0:5 / /dev rw - devtmpfs udev rw', ROOT_ON_SDA2);
    expect(await Promise.all(['sda1', 'sda2', 'sda3', 'sda4'].map((name) => roleOf(device, name)))).toEqual([undefined, undefined, 'store', 'data']); // prettier-ignore
    expect(await Promise.all(['sdb3', 'sdb4', 'nothing'].map((name) => roleOf(device, name)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('leaves slots and longer names alone', async () => {
    await using device = await makeDevice();
    await device.disk('sda', 8, [
      'PARTNAME=x',
      'PARTNAME=rootfs',
      'PARTNAME=boxship-store-b',
      'PARTNAME=boxship-data2',
    ]);
    await device.mounts(ROOT_ON_SDA2);
    expect(await roleOf(device, 'sda3')).toBeUndefined();
    expect(await roleOf(device, 'sda4')).toBeUndefined();
  });

  it('finds partitions by the UUIDs of their filesystems on MBR', async () => {
    await using device = await makeDevice('mbr');
    await device.disk('sda', 8, ['', '', '', '', '']);
    await device.mounts(ROOT_ON_SDA2);
    const superblock = (uuid: string) => Buffer.concat([Buffer.alloc(1024 + 0x68), Buffer.from(uuid.replaceAll('-', ''), 'hex'), Buffer.alloc(1000)]); // prettier-ignore
    await device.write('dev/sda3', superblock(STORE_UUID));
    await device.write('dev/sda5', superblock(DATA_UUID));
    await device.write('dev/sda1', superblock('cccccccc-1111-4111-8111-111111111111'));
    const found = await Promise.all(['sda1', 'sda2', 'sda3', 'sda4', 'sda5'].map((name) => roleOf(device, name)));
    expect(found).toEqual([undefined, undefined, 'store', undefined, 'data']);
  });

  it.each([
    ['a mapping (dm-verity, LUKS)', ['253:0 / / ro - ext4 /dev/dm-0 ro'], ''],
    ['an overlay whose lower mount is visible', ['8:2 / /media/lower ro - ext4 /dev/sda2 ro', '0:30 / / rw - overlay overlay rw,lowerdir=/media/lower,upperdir=/u,workdir=/w'], ''],
    ['an overlay over a squashfs file', ['8:2 / /host ro - ext4 /dev/sda2 ro', '7:0 / /lower ro - squashfs /dev/loop0 ro', '0:30 / / rw - overlay overlay rw,lowerdir=/x:/lower,upperdir=/u'], ''],
    ['an overlay that hides all', ['0:30 / / rw - overlay overlay rw,lowerdir=/gone,upperdir=/u'], 'quiet root=PARTUUID=abcd-02 ro'],
    ['btrfs', ['0:25 /@ / rw - btrfs /dev/sda2 rw,subvol=/@'], ''],
    ['a root that was mounted over', ['9:2 / / rw - ext4 /dev/sdb2 rw', '8:2 / / rw - ext4 /dev/sda2 rw'], ''],
  ])('knows the root disk below %s', async (_name, mounts, cmdline) => {
    await using device = await makeDevice();
    await device.disk('sda', 8, NAMES);
    await device.disk('sdb', 9, NAMES);
    await device.write('proc/cmdline', `${cmdline}\n`);
    await device.write('sys/devices/virtual/block/dm-0/dev', '253:0\n');
    await device.link('sys/devices/virtual/block/dm-0/slaves/sda2', '../../../../sda/sda2');
    await device.link('sys/dev/block/253:0', '../../devices/virtual/block/dm-0');
    await device.write('sys/devices/virtual/block/loop0/loop/backing_file', '/host/root.squashfs\n');
    await device.link('sys/dev/block/7:0', '../../devices/virtual/block/loop0');
    await device.link('dev/disk/by-partuuid/abcd-02', '../../sda2');
    await device.mounts(...mounts);
    expect(await roleOf(device, 'sda3')).toBe('store');
    expect(await roleOf(device, 'sdb3')).toBeUndefined();
  }); // prettier-ignore
});

const CONFIG = 'docker/image/overlay2/imagedb/content/sha256/abc';
const FILES: Readonly<Record<string, string>> = {
  'apps/demo/compose.yaml': 'services: {}\n',
  'apps/demo/units/demo.service': '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=boxship-apps.target\n',
  'apps/demo/units/helper.service': '[Service]\nExecStart=/bin/true\n',
  'apps/demo/units/demo.service.d/more.conf': '[Unit]\n',
  'apps/demo/conf/units/not-a-unit.service': 'x',
  [CONFIG]: '{}',
};

async function plugStore(
  device: Device,
  { socketVersion = 1, more = {} as Readonly<Record<string, string>> } = {},
): Promise<void> {
  const files = { ...FILES, ...more };
  await device.disk('sda', 8, NAMES);
  await device.mounts(ROOT_ON_SDA2);
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  for (const [path, content] of Object.entries(files)) await device.write(`run/boxship/store/${path}`, content);
  const sums = Object.entries(files).map(([path, content]) => `${sha256(content)}  ${path}\n`).join(''); // prettier-ignore
  const store = JSON.stringify({ nested: { socketVersion: 9, sums: 'x' }, socketVersion, sums: `sha256:${sha256(sums)}` }, null, 2); // prettier-ignore
  await device.write('run/boxship/store/store.sums', sums);
  await device.write('run/boxship/store/store.json', `${store}\n`);
  const signature = sign('sha256', Buffer.from(`${store}\n`), KEY.privateKey).toString('base64');
  await device.write('run/boxship/store/store.json.sig', signature.padEnd(128, '\n'));
  await mkdir(join(device.root, 'run/boxship/data'), { recursive: true });
}

describe.skipIf(!present).each(SHELLS)('verify under %s %s', (...shell) => {
  it('lets the engine start without a store, quickly and without a mount', async () => {
    await using device = await makeDevice();
    await device.disk('sda', 8, ['PARTNAME=BOOT', 'PARTNAME=rootfs']);
    await device.mounts(ROOT_ON_SDA2);
    const result = await device.run(shell, 'verify');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('no store partition');
    expect(await readdir(device.root)).not.toContain('calls');
    expect(await readdir(join(device.root, 'run/boxship'))).not.toContain('verified');
  });

  it('verifies, mounts in order, and marks', async () => {
    await using device = await makeDevice();
    await plugStore(device);
    expect(await device.run(shell, 'verify')).toMatchObject({ code: 0, stderr: '', stdout: 'boxship: store verified, 6 files\n' }); // prettier-ignore
    expect((await readFile(join(device.root, 'calls'), 'utf8')).trim().split('\n')).toEqual(['run-boxship-store.mount', 'run-boxship-data.mount', 'a.mount', 'b.mount'].map((unit) => `start ${unit}`)); // prettier-ignore
    expect(await readdir(join(device.root, 'run/boxship'))).toContain('verified');
    const data = join(device.root, 'run/boxship/data');
    expect((await readdir(data)).sort()).toEqual(['k', 'volumes']);
    expect((await stat(join(data, 'volumes'))).mode & 0o7777).toBe(0o701);
    expect((await stat(join(data, 'k/server'))).mode & 0o7777).toBe(0o700);
  });

  it('goes on when an image was removed', async () => {
    await using device = await makeDevice();
    await plugStore(device);
    await rm(join(device.root, 'run/boxship/store', CONFIG));
    const result = await device.run(shell, 'verify');
    expect(result.code).toBe(0);
    expect(result.stderr).toContain(`${CONFIG} is gone`);
  });

  const STORE = 'run/boxship/store';
  const fears: readonly (readonly [string, (device: Device) => Promise<void>, string])[] = [
    ['a byte of store.json', (device) => replace(device, `${STORE}/store.json`, /"socketVersion": 9/, '"socketVersion": 8'), 'store.json: the signature'],
    ['a byte of the signature', (device) => replace(device, `${STORE}/store.json.sig`, /^(.{20})./, '$1A'), 'store.json: the signature'],
    ['an empty signature', (device) => device.write(`${STORE}/store.json.sig`, '\n'.repeat(128)), 'store.json: the signature'],
    ["somebody else's signature", (device) => resign(device), 'store.json: the signature'],
    ['the list', (device) => replace(device, `${STORE}/store.sums`, /^../, 'zz'), 'store.sums: not the list'],
    ['a longer list', (device) => replace(device, `${STORE}/store.sums`, /$/, `${'0'.repeat(64)}  apps/x\n`), 'store.sums: not the list'],
    ['a unit', (device) => replace(device, `${STORE}/apps/demo/units/demo.service`, /true/, 'sh'), 'apps/demo/units/demo.service'],
    ['an image configuration', (device) => device.write(`${STORE}/${CONFIG}`, '{ }'), CONFIG],
    ['one more unit', (device) => device.write(`${STORE}/apps/demo/units/evil.service`, ''), 'apps/demo/units/evil.service: not in the signed list'],
    ['one more app', (device) => device.write(`${STORE}/apps/evil/units/e.service`, ''), 'apps/evil/units/e.service: not in the signed list'],
    ['a hidden file with a line break', (device) => device.write(`${STORE}/apps/demo/x\napps/demo/compose.yaml`, ''), 'not in the signed list'],
    ['a link instead of a file', (device) => replaceByLink(device, `${STORE}/apps/demo/compose.yaml`), 'not a regular file'],
    ['a link instead of a folder', (device) => device.link(`${STORE}/apps/other`, '/etc'), 'not a regular file'],
    ['a missing app file', (device) => rm(join(device.root, STORE, 'apps/demo/compose.yaml')), 'apps/demo/compose.yaml: missing'],
    ['all apps gone', (device) => rm(join(device.root, STORE, 'apps'), { recursive: true }), 'missing'],
    ['no store.json', (device) => rm(join(device.root, STORE, 'store.json')), 'store.json is missing'],
    ['a newer socketVersion', (device) => plugAgain(device, 2), 'made for device socket 2, this device has 1'],
    ['no data partition', (device) => device.write('sys/devices/sda/sda4/uevent', 'DEVNAME=sda4\nPARTNAME=other\n'), 'data partition is missing'],
  ]; // prettier-ignore

  it.each(fears)('keeps the engine down and names what was changed: %s', async (_name, change, message) => {
    await using device = await makeDevice();
    await plugStore(device);
    await device.write('run/boxship/verified', '');
    await change(device);
    const result = await device.run(shell, 'verify');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('the container engine stays down');
    expect(result.stderr).toContain(message);
    expect(await readdir(join(device.root, 'run/boxship'))).not.toContain('verified');
  });

  it.each(['run-boxship-store.mount', 'run-boxship-data.mount', 'b.mount'])('keeps the engine down when %s fails', async (unit) => {
    await using device = await makeDevice();
    await plugStore(device);
    await replace(device, 'stub-bin/systemctl', /^#!\/bin\/sh\n/, `#!/bin/sh\nFAIL_UNIT=${unit}\n`);
    const result = await device.run(shell, 'verify');
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(unit);
    expect(await readdir(join(device.root, 'run/boxship'))).not.toContain('verified');
  }); // prettier-ignore
});

describe.skipIf(!present).each(SHELLS)('apps under %s %s', (...shell) => {
  it('hands over the listed units and nothing else', async () => {
    await using device = await makeDevice();
    await plugStore(device);
    await device.run(shell, 'verify');
    await device.write('run/boxship/store/apps/demo/units/late.service', '[Install]\nWantedBy=boxship-apps.target\n');
    await rm(join(device.root, 'calls'));
    expect((await device.run(shell, 'apps')).code).toBe(0);
    const units = join(device.root, 'run/systemd/system');
    expect((await readdir(units)).sort()).toEqual(['boxship-apps.target.wants', 'demo.service', 'demo.service.d', 'helper.service']); // prettier-ignore
    expect(await readdir(join(units, 'boxship-apps.target.wants'))).toEqual(['demo.service']);
    expect(await readdir(join(units, 'demo.service.d'))).toEqual(['more.conf']);
    expect(await readFile(join(units, 'boxship-apps.target.wants/demo.service'), 'utf8')).toBe(FILES['apps/demo/units/demo.service']); // prettier-ignore
    expect(await readFile(join(device.root, 'calls'), 'utf8')).toBe('daemon-reload\nstart --no-block boxship-apps.target\n'); // prettier-ignore
  });
});

const QUADLETS = {
  'apps/demo/quadlets/demo-web.container': '[Container]\nImage=x\n',
  'apps/demo/quadlets/demo.network': '[Network]\n',
};

describe.skipIf(!present).each(SHELLS)('apps with files for the engine under %s %s', (...shell) => {
  it('copies the listed ones to where the engine reads them, before it reloads', async () => {
    await using device = await makeDevice();
    await plugStore(device, { more: QUADLETS });
    await device.run(shell, 'verify');
    await device.write('run/boxship/store/apps/demo/quadlets/late.container', 'x');
    await device.write('stub-bin/systemctl', `#!/bin/sh\necho "$1 $(ls ${device.root}/run/containers/systemd | tr '\\n' ' ')"\n`);
    expect(await device.run(shell, 'apps')).toEqual({ code: 0, stderr: '', stdout: 'daemon-reload demo-web.container demo.network \nstart demo-web.container demo.network \n' });
    expect((await readdir(join(device.root, 'run/systemd/system'))).sort()).toEqual(['boxship-apps.target.wants', 'demo.service', 'demo.service.d', 'helper.service']);
  }); // prettier-ignore
});

async function replace(device: Device, path: string, pattern: RegExp, by: string): Promise<void> {
  const before = await readFile(join(device.root, path), 'utf8');
  const after = before.replace(pattern, by);
  if (after === before) throw new Error(`${path}: nothing to replace`);
  await writeFile(join(device.root, path), after);
}

async function replaceByLink(device: Device, path: string): Promise<void> {
  await device.write('elsewhere', await readFile(join(device.root, path)));
  await rm(join(device.root, path));
  await device.link(path, join(device.root, 'elsewhere'));
}

async function resign(device: Device): Promise<void> {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bytes = await readFile(join(device.root, 'run/boxship/store/store.json'));
  const signature = sign('sha256', bytes, other.privateKey).toString('base64');
  await device.write('run/boxship/store/store.json.sig', signature.padEnd(128, '\n'));
}

async function plugAgain(device: Device, socketVersion: number): Promise<void> {
  await rm(join(device.root, 'sys'), { recursive: true });
  await plugStore(device, { socketVersion });
}
