import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { TreeEntry } from '@boxship/model';
import { mountUnitName } from './engine-socket.ts';
import { exampleEngine } from './example-engine.ts';
import { examplePublicKey } from './example-facts.ts';
import { hasPrograms } from './installed-programs.ts';
import { socketFiles, type SocketOptions } from './socket-files.ts';

const OPTIONS: SocketOptions = {
  engines: [exampleEngine],
  product: 'acme "gateway"',
  machine: 'qemux86-64',
  storeUuid: 'aaaaaaaa-1111-4111-8111-111111111111',
  dataUuid: 'bbbbbbbb-1111-4111-8111-111111111111',
  tableType: 'gpt',
  publicKeyPem: examplePublicKey,
  development: false,
};

async function bytesOf(entry: TreeEntry): Promise<string> {
  let text = '';
  if (entry.content) for await (const chunk of entry.content.source.open()) text += Buffer.from(chunk).toString();
  return text;
}

describe('socketFiles', () => {
  it('lists every path with a reason, none in /etc but an empty folder', async () => {
    const { entries, listing } = socketFiles(OPTIONS);
    expect(listing).toMatchSnapshot();
    expect(listing.map(({ path }) => path)).toEqual(entries.map(({ path }) => path));
    expect(entries.filter(({ path, type }) => path.startsWith('etc') && type !== 'directory')).toEqual([]);
    expect(entries.map(({ path, type, mode, link }) => `${type} ${mode.toString(8)} ${path} ${link ?? ''}`)).toMatchSnapshot(); // prettier-ignore
  });

  it('fills in values that JSON and the shell read back', async () => {
    const { entries } = socketFiles({ ...OPTIONS, development: true, tableType: 'mbr' });
    const text = async (path: string) => bytesOf(entries.find((entry) => entry.path === path)!);
    expect(JSON.parse(await text('usr/lib/boxship/socket.json'))).toEqual({
      socketVersion: 2,
      product: 'acme "gateway"',
      machine: 'qemux86-64',
      development: true,
    });
    const shell = `${await text('usr/lib/boxship/socket.env')}\necho "$BOXSHIP_TABLE|$BOXSHIP_STORE_UUID|$BOXSHIP_BINDS|$BOXSHIP_DATA_FOLDERS|$BOXSHIP_WRITABLE"`;
    expect((await runProgram('sh', ['-c', shell])).stdout.toString().trim()).toBe(
      `mbr|${OPTIONS.storeUuid}|var-lib-moored.mount var-lib-moored-volumes.mount var-lib-other\\x2dplace.mount|moored-volumes:0701 moored/server:0700|/etc/moored`,
    );
    expect(await text('usr/lib/boxship/store.pem')).toBe(examplePublicKey);
  });

  it('puts units below /lib where /usr is not merged', () => {
    const { entries } = socketFiles({ ...OPTIONS, unitDirectory: '/lib/systemd/system' });
    const paths = entries.map(({ path }) => path);
    expect(paths).toContain('lib/systemd/system/boxship-verify.service');
    expect(paths).toContain('lib/systemd/system/moored.service.d/10-boxship.conf');
    expect(paths).toContain('lib/systemd/system-preset/10-boxship.preset');
    expect(paths).toContain('lib/udev/rules.d/61-boxship.rules');
    expect(paths).toContain('usr/lib/boxship/verify');
    expect(paths.filter((path) => path.startsWith('usr/lib/systemd'))).toEqual([]);
  });

  it('parts what the layer holds from what a product adds; nothing of the layer depends on a product', async () => {
    const describeTree = async (entries: Iterable<TreeEntry>) =>
      await Promise.all([...entries].map(async (entry) => [entry.path, entry.mode, entry.link ?? (await bytesOf(entry))]));
    const one = socketFiles(OPTIONS);
    const other = socketFiles({ ...OPTIONS, product: 'b', machine: 'm', tableType: 'mbr', development: true, engines: [] });
    expect(await describeTree(one.ofLayer.entries())).toEqual(await describeTree(other.ofLayer.entries()));
    const parted = [...one.ofLayer.entries(), ...one.ofProduct.entries()].map(({ path }) => path).sort();
    expect(parted).toEqual(one.entries.map(({ path }) => path));
    for (const { path, type } of one.ofLayer.entries()) {
      if (type !== 'file') continue;
      const inLayer = new URL(`../../../layers/meta-boxship/recipes-core/boxship-socket/files/${path}`, import.meta.url);
      expect((await stat(inLayer)).isFile()).toBe(true);
    }
  }); // prettier-ignore

  it('gives every unit of two engines that share one all the mounts', async () => {
    const at = '/srv/b';
    const second = { mounts: [{ from: 'store', folder: 'b', at, mode: 0o700, description: 'b' }], units: [{ name: 'moored.service', after: [at] }] } as const;
    const { entries } = socketFiles({ ...OPTIONS, engines: [exampleEngine, second] });
    const dropIn = entries.filter(({ path }) => path === 'usr/lib/systemd/system/moored.service.d/10-boxship.conf');
    expect(dropIn).toHaveLength(1);
    expect(await bytesOf(dropIn[0]!)).toContain('After=var-lib-moored.mount var-lib-moored-volumes.mount srv-b.mount\n');
  }); // prettier-ignore

  it('lays empty files under a mount point for an engine that wants them without a store', async () => {
    const [first, ...others] = exampleEngine.mounts;
    const mounts = [{ ...first!, unmounted: ['a/b.lock'] }, ...others];
    const { entries } = socketFiles({ ...OPTIONS, engines: [{ ...exampleEngine, mounts }] });
    const found = entries.find(({ path }) => path === 'var/lib/moored/a/b.lock')!;
    expect([found.type, found.mode, await bytesOf(found)]).toEqual(['file', 0o644, '']);
  });

  it('mounts the store read-only when no engine writes to it, and never while one does', async () => {
    const path = 'usr/lib/systemd/system/run-boxship-store.mount.d/10-boxship.conf';
    const reads = { ...exampleEngine, storeIsReadOnly: true };
    const optionsOf = async (engines: SocketOptions['engines']) => {
      const found = socketFiles({ ...OPTIONS, engines }).entries.find((entry) => entry.path === path);
      return found && /^Options=(.*)$/m.exec(await bytesOf(found))?.[1];
    };
    expect(await optionsOf([reads])).toBe('noatime,ro');
    expect(await optionsOf([reads, exampleEngine])).toBeUndefined();
    expect(await optionsOf([])).toBeUndefined();
  });

  it('refuses a key and a UUID that are none', () => {
    expect(() => socketFiles({ ...OPTIONS, publicKeyPem: 'x' })).toThrow('elliptic-curve key');
    expect(() => socketFiles({ ...OPTIONS, dataUuid: '$(reboot)' })).toThrow('not a UUID');
  });

  it.skipIf(!hasPrograms('shellcheck'))('holds scripts that shellcheck accepts as POSIX sh', async () => {
    await withTree(async (root) => {
      const scripts = ['device.sh', 'locate', 'verify', 'apps', 'grow', 'grow-table'];
      const paths = scripts.map((name) => join(root, 'usr/lib/boxship', name));
      await runProgram('shellcheck', ['-x', '-s', 'sh', ...paths]);
      for (const path of paths) {
        await runProgram('dash', ['-n', path]);
        await runProgram('busybox', ['sh', '-n', path]);
      }
    });
  });

  it.skipIf(!hasPrograms('systemd-analyze'))('holds units that systemd-analyze accepts', async () => {
    await withTree(async (root) => {
      const units = join(root, 'usr/lib/systemd/system');
      // what the units refer to and the base brings
      await writeFile(join(units, 'moored.service'), '[Service]\nExecStart=/bin/true\n');
      await writeFile(join(units, 'moored.socket'), '[Socket]\nListenStream=/run/moored.sock\n');
      const mounts = exampleEngine.mounts.map((mount) => mountUnitName(mount.at));
      const names = ['boxship-verify.service', 'boxship-apps.service', 'boxship-grow.service', 'boxship-apps.target', 'moored.service', 'moored.socket', 'run-boxship-store.mount', 'run-boxship-data.mount', ...mounts];
      const result = await runProgram('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...names.map((name) => join(units, name))], {
        env: { SYSTEMD_UNIT_PATH: `${units}:/usr/lib/systemd/system` },
        accept: [0, 1],
      });
      const complaints = result.stderr.split('\n').filter((line) => /boxship|var-lib|moored/.test(line));
      // the programs are not on this machine
      expect(complaints.filter((line) => !/Command \/usr\/lib\/boxship\/\w+ is not executable: No such file/.test(line))).toEqual([]);
    });
  }); // prettier-ignore
});

describe('mountUnitName', () => {
  it.skipIf(!hasPrograms('systemd-escape'))('names units as systemd does', async () => {
    const paths = [
      '/',
      '/var/lib/docker',
      '/var/lib/rancher/k3s/agent/containerd',
      '/srv/a-b/.c/d@e',
      '/.hidden',
      '/é x',
    ];
    const { stdout } = await runProgram('systemd-escape', ['--path', '--suffix=mount', ...paths]);
    expect(paths.map(mountUnitName)).toEqual(stdout.toString().trim().split(' '));
  });
});

async function withTree(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'boxship-socket-'));
  try {
    for (const entry of socketFiles(OPTIONS).entries) {
      const path = join(root, entry.path);
      await mkdir(entry.type === 'directory' ? path : dirname(path), { recursive: true });
      if (entry.type === 'symlink') await symlink(entry.link!, path);
      if (entry.type === 'file') await writeFile(path, await bytesOf(entry), { mode: entry.mode });
    }
    await work(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
