import { describe, expect, it } from 'vitest';
import type { DeviceFacts, EngineFacts } from '@boxship/model';
import type { EngineDevice } from '../engine.ts';
import { exampleFacts } from '../example-facts.ts';
import { wantedOptions } from '../kernel-options.ts';
import { dockerKernelOptions } from './kernel-options.ts';
import { checkDockerSettings, dockerWarnings } from './vendor-checks.ts';

const withDocker = (change: Partial<EngineFacts>, imageStore?: string): EngineDevice => ({
  facts: {
    ...exampleFacts,
    engines: exampleFacts.engines.map((engine) => (engine.name === 'docker' ? { ...engine, ...change } : engine)),
  },
  engine: { name: 'docker', ...(imageStore ? { imageStore } : {}) },
});
const withFacts = (facts: DeviceFacts): EngineDevice => ({ facts, engine: { name: 'docker' } });

describe('checkDockerSettings', () => {
  it('accepts a plain base, and settings that say what we do', () => {
    checkDockerSettings(withFacts(exampleFacts));
    checkDockerSettings(
      withDocker({
        daemonConfig: {
          'data-root': '/var/lib/docker',
          'storage-driver': 'overlay2',
          features: { 'containerd-snapshotter': false },
          'log-driver': 'local',
        },
        execStart: '/usr/bin/dockerd -H fd:// -s overlay2',
      }),
    );
  });

  it.each([
    ['ExecStart --data-root', { execStart: 'dockerd --data-root /srv/docker' }, '"/srv/docker" (ExecStart of docker.service: --data-root)'],
    ['ExecStart -g', { execStart: 'dockerd -g /srv' }, '-g)'],
    ['ExecStart -s=', { execStart: 'dockerd -s=btrfs' }, '"btrfs"'],
    ['daemon.json data-root', { daemonConfig: { 'data-root': '/data' } }, '/etc/docker/daemon.json'],
    ['daemon.json storage-driver', { daemonConfig: { 'storage-driver': 'vfs' } }, 'made for overlay2'],
    ['user namespaces', { daemonConfig: { 'userns-remap': 'default' } }, 'not remapped'],
  ])('names the vendor setting and what it collides with: %s', (_name, change, message) => {
    expect(() => checkDockerSettings(withDocker(change))).toThrow(message);
  }); // prettier-ignore

  it.each([
    ['its feature', { daemonConfig: { features: { 'containerd-snapshotter': true } } }, 'overlay2', "docker's own image store (engine.imageStore in the product file)"],
    ['its feature as a flag', { execStart: 'dockerd --feature containerd-snapshotter' }, 'overlay2', '(ExecStart of docker.service: --feature)'],
    ['its feature, off', { daemonConfig: { features: { 'containerd-snapshotter': false } } }, 'containerd', "containerd's image store (engine"],
    ['a driver', { daemonConfig: { 'storage-driver': 'overlay2' } }, 'containerd', "containerd's snapshotter overlayfs"],
    ['another containerd', { execStart: 'dockerd --containerd=/run/other.sock' }, 'containerd', 'in the containerd at /run/containerd/containerd.sock'],
    ['another namespace', { daemonConfig: { 'containerd-namespace': 'x' } }, 'containerd', 'in the namespace moby'],
    ['another file of settings', { execStart: 'dockerd --config-file /etc/dockerd.json' }, 'containerd', 'needs /etc/docker/daemon.json'],
  ])('names the vendor setting and the image store of the product file: %s', (_name, change, imageStore, message) => {
    expect(() => checkDockerSettings(withDocker({ version: '28.5.2', ...change }, imageStore))).toThrow(message);
  }); // prettier-ignore

  it('refuses what would hide the daemon.json that docker needs, and a containerd that keeps its images elsewhere', () => {
    const device = withDocker({ version: '28.5.2' }, 'containerd');
    checkDockerSettings(device);
    const mounted = { ...device, facts: { ...device.facts, mountPoints: ['/', '/etc/docker'] } };
    expect(() => checkDockerSettings(mounted)).toThrow('the mount of /etc/docker (/etc/fstab)');
    const containerd = device.facts.engines.map((one) => one.name === 'containerd' ? { ...one, containerdConfig: { file: '/etc/containerd/config.toml', root: '/srv' } } : one); // prettier-ignore
    const moved = { ...device, facts: { ...device.facts, engines: containerd } };
    expect(() => checkDockerSettings(moved)).toThrow('root = "/srv" (/etc/containerd/config.toml)');
  });

  it('refuses a docker that has no such image store, and warns of one that was not tried', () => {
    expect(() => checkDockerSettings(withDocker({ version: '20.10.24' }, 'containerd'))).toThrow('has docker 20.10.24');
    const codes = (version: string) => dockerWarnings(withDocker({ version }, 'containerd')).map(({ code }) => code);
    expect(codes('25.0.3')).toContain('IMAGE_STORE_UNTRIED');
    expect(codes('26.1.5')).not.toContain('IMAGE_STORE_UNTRIED');
  });

  it('says all at once', () => {
    const { facts } = withDocker({ daemonConfig: { 'data-root': '/a', 'storage-driver': 'vfs' } });
    const problems = (() => {
      try {
        checkDockerSettings(withFacts({ ...facts, mountPoints: ['/var/lib/docker'] }));
      } catch (error) {
        return (error as { problems: readonly unknown[] }).problems;
      }
      return [];
    })();
    expect(problems.length).toBe(3);
  });

  it('misses an engine', () => {
    expect(() => checkDockerSettings(withFacts({ ...exampleFacts, engines: [] }))).toThrow('no docker engine');
  });
});

describe('dockerWarnings', () => {
  const GOOD = Object.fromEntries(wantedOptions(dockerKernelOptions).map(({ symbol, want }) => [symbol, want]));
  const codes = (change: Partial<DeviceFacts>) =>
    dockerWarnings(withFacts({ ...exampleFacts, kernelConfig: GOOD, ...change })).map(({ code }) => code);

  it.each([
    ['nothing', {}, []],
    ['no kernel configuration', { kernelConfig: undefined as never }, ['KERNEL_CONFIG_UNKNOWN']],
    ['AppArmor without its parser', { apparmorParser: false, kernelConfig: { ...GOOD, SECURITY_APPARMOR: 'y', LSM: 'yama,apparmor' } }, ['APPARMOR_WITHOUT_PARSER']],
    ['AppArmor built but off', { apparmorParser: false, kernelConfig: { ...GOOD, SECURITY_APPARMOR: 'y', LSM: 'yama' } }, []],
    ['no overlay', { kernelConfig: { ...GOOD, OVERLAY_FS: 'n' } }, ['KERNEL_OPTIONS_MISSING']],
    ['no bridge', { kernelConfig: { ...GOOD, BRIDGE: 'n' } }, ['KERNEL_FEATURE_MISSING']],
    ['no memory controller', { kernelConfig: { ...GOOD, MEMCG: 'n' } }, ['CGROUPS_MISSING']],
  ])('%s', (_name, change, expected) => {
    expect(codes(change)).toEqual(expected);
  }); // prettier-ignore
});

describe('the AppArmor warning', () => {
  const config = { SECURITY_APPARMOR: 'y', LSM: 'yama,apparmor' };
  const warning = (...texts: string[]) =>
    dockerWarnings(withFacts({
      ...exampleFacts,
      apparmorParser: false,
      kernelConfig: config,
      ...(texts.length > 0 ? { kernelCommandLines: texts.map((text) => ({ where: 'partition 1: cmdline.txt', text })) } : {}),
    })).find(({ code }) => code === 'APPARMOR_WITHOUT_PARSER')?.message; // prettier-ignore

  it('says what is known, and where it was read', () => {
    expect(warning('quiet')).toContain('its command line, partition 1: cmdline.txt), and the base image has no apparmor_parser: docker will refuse'); // prettier-ignore
    expect(warning('quiet apparmor=0')).toBeUndefined();
    expect(warning('lsm=yama')).toBeUndefined();
    expect(warning()).toContain('was found in no place that is read here');
    expect(warning('quiet', 'apparmor=0')).toContain('the entries of the boot loader differ');
  });
});
