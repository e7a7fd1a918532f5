import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { TreeEntry } from '@boxship/model';
import { exampleFacts, examplePublicKey } from './example-facts.ts';
import { hasPrograms } from './installed-programs.ts';
import { socketFiles, type SocketOptions } from './socket-files.ts';

const OPTIONS: SocketOptions = {
  facts: exampleFacts,
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
    const { entries, listing } = await socketFiles(OPTIONS);
    expect(listing).toMatchSnapshot();
    expect(listing.map(({ path }) => path)).toEqual(entries.map(({ path }) => path));
    expect(entries.filter(({ path, type }) => path.startsWith('etc') && type !== 'directory')).toEqual([]);
    expect(entries.map(({ path, type, mode, link }) => `${type} ${mode.toString(8)} ${path} ${link ?? ''}`)).toMatchSnapshot(); // prettier-ignore
  });

  it('fills in values that JSON and the shell read back', async () => {
    const { entries } = await socketFiles({ ...OPTIONS, development: true, tableType: 'mbr' });
    const text = async (path: string) => bytesOf(entries.find((entry) => entry.path === path)!);
    expect(JSON.parse(await text('usr/lib/boxship/socket.json'))).toEqual({
      socketVersion: 1,
      product: 'acme "gateway"',
      machine: 'qemux86-64',
      development: true,
    });
    const shell = `${await text('usr/lib/boxship/socket.env')}\necho "$BOXSHIP_TABLE|$BOXSHIP_STORE_UUID|$BOXSHIP_BINDS"`;
    expect((await runProgram('sh', ['-c', shell])).stdout.toString().trim()).toBe(
      `mbr|${OPTIONS.storeUuid}|var-lib-docker.mount var-lib-docker-volumes.mount var-lib-containerd.mount`,
    );
    expect(await text('usr/lib/boxship/store.pem')).toBe(examplePublicKey);
  });

  it('puts units below /lib where /usr is not merged, and leaves containerd out where there is none', async () => {
    const facts = {
      ...exampleFacts,
      mergedUsr: false,
      unitDirectory: '/lib/systemd/system',
      engines: [exampleFacts.engines[0]!],
    };
    const { entries } = await socketFiles({ ...OPTIONS, facts });
    const paths = entries.map(({ path }) => path);
    expect(paths).toContain('lib/systemd/system/boxship-verify.service');
    expect(paths).toContain('lib/systemd/system-preset/10-boxship.preset');
    expect(paths).toContain('lib/udev/rules.d/61-boxship.rules');
    expect(paths).toContain('usr/lib/boxship/verify');
    expect(paths.filter((path) => /var-lib-containerd|usr\/lib\/systemd/.test(path))).toEqual([]);
  });

  it('refuses a key and a UUID that are none', async () => {
    await expect(socketFiles({ ...OPTIONS, publicKeyPem: 'x' })).rejects.toThrow('elliptic-curve key');
    await expect(socketFiles({ ...OPTIONS, dataUuid: '$(reboot)' })).rejects.toThrow('not a UUID');
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
      for (const name of ['docker', 'containerd', 'podman', 'podman-restart', 'podman-auto-update', 'podman-clean-transient']) {
        await writeFile(join(units, `${name}.service`), '[Service]\nExecStart=/bin/true\n');
      }
      for (const name of ['docker', 'podman']) await writeFile(join(units, `${name}.socket`), `[Socket]\nListenStream=/run/${name}.sock\n`);
      const names = ['boxship-verify.service', 'boxship-apps.service', 'boxship-grow.service', 'boxship-apps.target', 'docker.service', 'docker.socket', 'containerd.service', 'run-boxship-store.mount', 'run-boxship-data.mount', 'var-lib-docker.mount', 'var-lib-docker-volumes.mount', 'var-lib-containerd.mount'];
      const result = await runProgram('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...names.map((name) => join(units, name))], {
        env: { SYSTEMD_UNIT_PATH: `${units}:/usr/lib/systemd/system` },
        accept: [0, 1],
      });
      const complaints = result.stderr.split('\n').filter((line) => /boxship|var-lib|docker|containerd/.test(line));
      // the programs are not on this machine
      expect(complaints.filter((line) => !/Command \/usr\/lib\/boxship\/\w+ is not executable: No such file/.test(line))).toEqual([]);
    });
  }); // prettier-ignore
});

async function withTree(work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'boxship-socket-'));
  try {
    for (const entry of (await socketFiles(OPTIONS)).entries) {
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
