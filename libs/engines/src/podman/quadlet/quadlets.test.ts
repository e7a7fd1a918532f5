import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import type { App, DeviceFacts, EngineFacts, Service } from '@boxship/model';
import { exampleFacts } from '../../example-facts.ts';
import { GATEWAY, IMAGE, IMAGE_ID, NASTY, service } from '../../example-app.ts';
import { containerCommand, containerName, containerOptions, labelOptions } from '../../run-units/run-arguments.ts';
import { commandLinesOf } from '../../run-units/systemd-dump.ts';
import { textAt } from '../../test-images.ts';
import { startPodmanApp } from '../start.ts';
import { findQuadletGenerators, type QuadletGenerator } from './generators.ts';

const GOLDEN = new URL('../../../../../test/golden/podman-quadlets/', import.meta.url).pathname;
const generators = await findQuadletGenerators();

const facts = (version: string, change: Partial<EngineFacts> = {}): DeviceFacts => ({
  ...exampleFacts,
  engines: [{ name: 'podman', version, program: '/usr/bin/podman', quadlet: true, composePlugin: false, ...change }],
});

/** Settings that a podman has a word for, in every version another number of them as a key. */
const SETTINGS: App = {
  ...GATEWAY,
  services: [
    ...GATEWAY.services,
    service('settings', {
      image: IMAGE,
      networks: [
        { name: 'gateway_back', aliases: ['api', 'a b'], ipv4Address: '172.28.0.9', ipv6Address: 'fd00::9', macAddress: '02:42:ac:11:65:43' },
        { name: 'gateway_default', aliases: ['one', 'two'], ipv4Address: '10.1.2.3' },
      ],
      mounts: [{ type: 'volume', source: 'gateway_data', target: '/with space', readOnly: true }],
      ports: [{ hostIp: '0.0.0.0', published: '53', target: '53', protocol: 'udp' }],
      healthcheck: { test: ['CMD', 'check', '-v'], retries: 2 },
      secrets: [{ name: 'token', target: '/run/secrets/token', place: { from: 'data', path: '/run/boxship/data/secrets/gateway/token' } }],
      settings: {
        user: '1000:1000', groupAdd: ['video', '44'], hostname: 'device', workingDir: '/srv', init: true, readOnly: true,
        capDrop: ['ALL'], capAdd: ['NET_ADMIN'], securityOpt: ['no-new-privileges:true', 'seccomp=/run/boxship/store/p.json', 'label=disable', 'apparmor=unconfined'],
        usernsMode: 'host', ipc: 'shareable', pid: 'host', uts: 'host', cgroup: 'private', cgroupParent: 'm.slice',
        devices: [{ source: '/dev/ttyS0', target: '/dev/ttyS0' }, { source: '/dev/i2c-1', target: '/dev/i2c-9', permissions: 'rw' }],
        deviceCgroupRules: ['c 81:* rmw'], cpus: '0.5', cpuset: '0-1', memLimit: 67108864, memReservation: 1000000, pidsLimit: 20,
        shmSize: 1048576, blkioWeight: 300, ulimits: { nofile: { soft: 20000, hard: 40000 }, nproc: { soft: 9, hard: 9 } },
        sysctls: { 'net.core.somaxconn': '1024', 'net.ipv4.ping_group_range': '0 100' }, tmpfs: ['/run:size=1m,mode=1777', '/cache'],
        dns: ['192.0.2.53'], dnsOpt: ['use-vc'], dnsSearch: ['example.com'], extraHosts: [{ name: 'plc', address: '192.0.2.7' }, { name: 'six', address: '2001:db8::1' }],
        expose: ['3000', '5000-5005/udp'], annotations: { 'org.example.a': '50% "x"' }, stopSignal: 'SIGUSR1', stopGracePeriod: 90,
        logging: { driver: 'k8s-file', options: { 'max-size': '2m' } },
      },
    }),
    service('waits', { restart: 'always', settings: { logging: { driver: 'passthrough', options: {} } }, dependsOn: [{ service: 'settings', condition: 'service_started', required: true }] }),
  ],
  volumes: [
    { name: 'gateway_data', external: false, driverOptions: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,uid=1000' }, labels: { note: '50% "off"' } },
    { name: 'plain', external: false, driverOptions: {} },
    { name: 'odd', external: false, driverOptions: { type: 'nfs', o: 'addr=192.0.2.1,rw' } },
  ],
  networks: [
    ...GATEWAY.networks,
    { name: 'gateway_two', external: false, internal: true, enableIpv6: true, driver: 'bridge', driverOptions: { mtu: '1400', 'com.example.a': 'b c' }, labels: { a: 'b' },
      ipam: { driver: 'host-local', options: {}, pools: [{ subnet: '172.29.0.0/16', auxAddresses: {} }, { subnet: 'fd00:1::/64', gateway: 'fd00:1::1', auxAddresses: {} }] } },
    { name: 'gateway_one', external: false, internal: false, driverOptions: {},
      ipam: { options: {}, pools: [{ subnet: '172.30.0.0/16', gateway: '172.30.0.1', ipRange: '172.30.1.0/24', auxAddresses: {} }] } },
  ],
}; // prettier-ignore

const IDS = new Map([[IMAGE, IMAGE_ID]]);
const treeOf = (app: App, version: string, console = false, change: Partial<EngineFacts> = {}) =>
  startPodmanApp(app, IDS, facts(version, change), { epoch: 1_700_000_000, console });

async function filesOf(app: App, version: string, console = false): Promise<Map<string, string>> {
  const tree = treeOf(app, version, console);
  const files = new Map<string, string>();
  for (const { path, type } of tree.entries()) if (type === 'file') files.set(path, await textAt(tree.entries(), path));
  return files;
}

const below = (files: ReadonlyMap<string, string>, folder: string) =>
  new Map([...files].filter(([path]) => path.includes(`/${folder}/`)).map(([path, text]) => [path.slice(path.lastIndexOf('/') + 1), text])); // prettier-ignore

describe('Quadlet files of an app', () => {
  it.each(['5.4.2', '4.4.4'])('are the golden tree: podman %s', async (version) => {
    const files = await filesOf(GATEWAY, version, true);
    const folder = join(GOLDEN, version);
    for (const [path, text] of files) await expect(text).toMatchFileSnapshot(join(folder, Buffer.from(path, 'latin1').toString())); // prettier-ignore
    const golden = await readdir(folder, { recursive: true, withFileTypes: true });
    const names = golden.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    expect(names.sort()).toEqual([...files.keys()].map((path) => join(folder, Buffer.from(path, 'latin1').toString())).sort()); // prettier-ignore
  });

  it.each([
    ['5.4.2', {}, true],
    ['4.4.0', {}, true],
    ['4.3.1', {}, false],
    ['5.2.5', {}, false], // every container would wait until the device is online
    ['5.4.2', { quadlet: false }, false],
  ] as const)('are there where the base image can use them: podman %s %j', (version, change, expected) => {
    const paths = [...treeOf(GATEWAY, version, false, change).entries()].map(({ path }) => path);
    expect(paths.includes('apps/gateway/quadlets/boxship-gateway-app.container')).toBe(expected);
    expect(paths.includes('apps/gateway/units/boxship-gateway-app.service')).toBe(!expected);
  });

  it('are an error with its reason where they cannot be had', () => {
    const start = (start: 'quadlet' | 'units', device: DeviceFacts) => () => startPodmanApp(GATEWAY, IDS, device, { epoch: 0, console: false, start }); // prettier-ignore
    expect(start('quadlet', facts('4.3.1'))).toThrow(/podman 4\.3\.1 of the base image knows no Quadlet files/);
    expect(start('quadlet', facts('5.4.2', { quadlet: false }))).toThrow(/lacks podman-system-generator/);
    expect([...start('units', facts('5.4.2'))().entries()].map(({ path }) => path)).toContain('apps/gateway/units/boxship-gateway-app.service'); // prettier-ignore
  });
});

/** Words of `podman run`, each option with its value as one, image and command cut off. */
function optionsOf(words: readonly string[], image: string): string[] {
  const own = words.slice(0, words.indexOf(image));
  const long: Readonly<Record<string, string>> = { '-v': '--volume', '-d': '--detach' };
  const options: string[] = [];
  for (let at = 2; at < own.length; at++) {
    const word = long[own[at]!] ?? own[at]!;
    const next = own[at + 1];
    const isPair = !word.includes('=') && next !== undefined && !next.startsWith('-');
    options.push(isPair ? `${word}=${next}` : word);
    if (isPair) at++;
  }
  // to stop the container by: podman's own affair
  return options
    .filter((option) => !option.startsWith('--cidfile='))
    .map(canonical)
    .sort();
}

/** Two ways of saying the same. */
function canonical(option: string): string {
  return option
    .replace(/^--cap-(add|drop)=.*/, (text) => text.toLowerCase())
    .replace(/^(--(?:init|read-only))=true$/, '$1')
    .replace(/^-w=/, '--workdir=')
    .replace('no-new-privileges:true', 'no-new-privileges')
    .replace(/^--mount=type=bind,/, '--mount=')
    .replace(/^--tmpfs=(\/[^:]+)$/, '--tmpfs=$1');
}

function expectedOptions(app: App, one: Service, version: readonly [number, number]): string[] {
  const isAwaited = one.name === 'migrate';
  const own = one.settings.logging?.driver !== undefined;
  const log = isAwaited ? ['--log-driver=k8s-file', '--log-opt=max-size=1mb'] : ['--log-driver=journald', `--log-opt=tag=gateway-${one.name}`]; // prettier-ignore
  const networks = one.networkMode
    ? [`--network=${one.networkMode}`]
    : one.networks.map(({ name, aliases, ipv4Address, ipv6Address, macAddress }) => {
        const names = [one.name, ...aliases].map((alias) => `alias=${alias}`);
        const rest = [ipv4Address && `ip=${ipv4Address}`, ipv6Address && `ip6=${ipv6Address}`, macAddress && `mac=${macAddress}`]; // prettier-ignore
        return `--network=${name}:${[...names, ...rest.filter(Boolean)].join(',')}`;
      });
  return [
    `--name=${containerName(app, one)}`, '--replace', '--rm', '--cgroups=split', '--pull=never',
    ...(version[0] === 4 && version[1] === 4 ? ['--log-driver=passthrough'] : []),
    ...(isAwaited ? [] : ['--sdnotify=conmon', '--detach']),
    ...(one.settings.cgroupParent ? ['--cgroups=enabled'] : []),
    ...labelOptions(app, one), ...(own ? [] : log), ...networks, ...containerOptions(app, one),
    ...(one.deviceNodes ? ['$BOXSHIP_DEVICES'] : []),
  ].map(canonical).sort(); // prettier-ignore
}

const STUB = '[Service]\nExecStart=/bin/true\n';

describe.each(generators)('$name', ({ version, convert }: QuadletGenerator) => {
  const number = version.join('.');

  it('makes units of every file, and of each exactly the container that podman run would be asked for', async () => {
    const files = await filesOf(SETTINGS, `${number}.0`);
    const quadlets = below(files, 'quadlets');
    const { units, complaints } = await convert(quadlets);
    expect(complaints).toBe('');
    expect(units.size).toBe(quadlets.size);
    const folder = await mkdtemp(join(tmpdir(), 'boxship-quadlet-units-'));
    try {
      await chmod(folder, 0o755);
      await writeFile(join(folder, 'podman'), '#!/bin/sh\n', { mode: 0o755 });
      const wants = SETTINGS.services.map(({ name }) => `Wants=boxship-gateway-${name}.service\n`).join('');
      await writeFile(join(folder, 'boxship-apps.target'), `[Unit]\n${wants}`);
      await writeFile(join(folder, 'boxship-verify.service'), STUB);
      // specifiers as they are: this systemd would put its own in
      const kept = (text: string) => text.replaceAll('%t/%N.cid', '%%t/%%N.cid').replaceAll(/\/usr\/(local\/)?s?bin\/podman/g, join(folder, 'podman')); // prettier-ignore
      for (const [name, text] of [...units, ...below(files, 'units')]) await writeFile(join(folder, name), kept(text));

      const names = [...units.keys()].map((name) => join(folder, name));
      const verified = await runProgram('systemd-analyze', ['verify', '--man=no', ...names], { env: { SYSTEMD_UNIT_PATH: `${folder}:` }, accept: [0, 1] }); // prettier-ignore
      const told = `${verified.stdout.toString()}${verified.stderr}`.split('\n').filter((line) => line.includes('boxship-gateway')); // prettier-ignore
      expect(told).toEqual([]);

      const lines = await commandLinesOf(folder, 'boxship-apps.target');
      for (const one of SETTINGS.services) {
        const start = lines(`boxship-gateway-${one.name}.service`).find((words) => words[1] === 'run')!;
        expect(optionsOf(start, IMAGE_ID), one.name).toEqual(expectedOptions(SETTINGS, one, version));
        const words = start.slice(start.indexOf(IMAGE_ID) + 1).map((word) => (word === '${BOXSHIP_EMPTY}' ? '' : word)); // prettier-ignore
        expect(words, one.name).toEqual(containerCommand(one));
      }
      expect(lines('boxship-gateway-app.service').find((words) => words[1] === 'run')).toContain(NASTY);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('has networks and volumes of the names that other ways to start the app give them', async () => {
    const { units } = await convert(below(await filesOf(SETTINGS, `${number}.0`), 'quadlets'));
    if (version[0] === 4 && version[1] < 7) return expect([...units.keys()].filter((name) => /network|volume/.test(name))).toEqual([]); // prettier-ignore
    const command = (unit: string) => /^ExecStart=(.*)$/m.exec(units.get(unit)!)![1]!.replaceAll('\\x20', ' ');
    expect(command('boxship-gateway_default-network.service')).toMatch(/network create --ignore .* gateway_default$/);
    expect(command('boxship-gateway_one-network.service').replaceAll('=', ' ')).toMatch(/--subnet 172\.30\.0\.0\/16 --gateway 172\.30\.0\.1 --ip-range 172\.30\.1\.0\/24/); // prettier-ignore
    const two = command('boxship-gateway_two-network.service').replaceAll('=', ' ');
    for (const option of ['--internal', '--ipv6', '--driver bridge', '--ipam-driver host-local', 'mtu 1400', '"com.example.a b c"', '--subnet 172.29.0.0/16', '--subnet fd00:1::/64', '--gateway fd00:1::1']) expect(two).toContain(option); // prettier-ignore
    expect(command('boxship-gateway_data-volume.service')).toMatch(/volume create --ignore --opt device=tmpfs --opt type=tmpfs --opt o=size=1m,uid=1000 .* gateway_data$/); // prettier-ignore
    expect(command('boxship-gateway_odd-volume.service')).toMatch(/--opt=type=nfs --opt=o=addr=192\.0\.2\.1,rw odd$/);
    const app = units.get('boxship-gateway-app.service')!;
    for (const name of ['_data-volume', '_back-network', '_default-network']) {
      expect(app).toContain(`\nRequires=boxship-gateway${name}.service\nAfter=boxship-gateway${name}.service\n`);
    }
    return expect([...units.values()].filter((text) => text.includes('network-online.target'))).toEqual([]);
  });

  it('refuses what is wrong, so that its silence means something', async () => {
    const { complaints } = await convert(new Map([['a.container', '[Container]\nImage=x\nImge=y\n']]));
    expect(complaints).toMatch(/unsupported key 'Imge'/);
  });
});
