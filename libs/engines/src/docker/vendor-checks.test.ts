import { describe, expect, it } from 'vitest';
import type { DeviceFacts, EngineFacts } from '@boxship/model';
import { exampleFacts } from '../example-facts.ts';
import { wantedOptions } from '../kernel-options.ts';
import { dockerKernelOptions } from './kernel-options.ts';
import { checkDockerSettings, dockerWarnings } from './vendor-checks.ts';

const withDocker = (change: Partial<EngineFacts>): DeviceFacts => ({
  ...exampleFacts,
  engines: exampleFacts.engines.map((engine) => (engine.name === 'docker' ? { ...engine, ...change } : engine)),
});

describe('checkDockerSettings', () => {
  it('accepts a plain base, and settings that say what we do', () => {
    checkDockerSettings(exampleFacts);
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
    ['containerd image store', { daemonConfig: { features: { 'containerd-snapshotter': true } } }, "docker's own image store"],
    ['user namespaces', { daemonConfig: { 'userns-remap': 'default' } }, 'not remapped'],
  ])('names the vendor setting and what it collides with: %s', (_name, change, message) => {
    expect(() => checkDockerSettings(withDocker(change))).toThrow(message);
  }); // prettier-ignore

  it('says all at once', () => {
    const facts = withDocker({ daemonConfig: { 'data-root': '/a', 'storage-driver': 'vfs' } });
    const problems = (() => {
      try {
        checkDockerSettings({ ...facts, mountPoints: ['/var/lib/docker'] });
      } catch (error) {
        return (error as { problems: readonly unknown[] }).problems;
      }
      return [];
    })();
    expect(problems.length).toBe(3);
  });

  it('misses an engine', () => {
    expect(() => checkDockerSettings({ ...exampleFacts, engines: [] })).toThrow('no docker engine');
  });
});

describe('dockerWarnings', () => {
  const GOOD = Object.fromEntries(wantedOptions(dockerKernelOptions).map(({ symbol, want }) => [symbol, want]));
  const codes = (change: Partial<DeviceFacts>) =>
    dockerWarnings({ ...exampleFacts, kernelConfig: GOOD, ...change }).map(({ code }) => code);

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
    dockerWarnings({
      ...exampleFacts,
      apparmorParser: false,
      kernelConfig: config,
      ...(texts.length > 0 ? { kernelCommandLines: texts.map((text) => ({ where: 'partition 1: cmdline.txt', text })) } : {}),
    }).find(({ code }) => code === 'APPARMOR_WITHOUT_PARSER')?.message; // prettier-ignore

  it('says what is known, and where it was read', () => {
    expect(warning('quiet')).toContain('its command line, partition 1: cmdline.txt), and the base image has no apparmor_parser: docker will refuse'); // prettier-ignore
    expect(warning('quiet apparmor=0')).toBeUndefined();
    expect(warning('lsm=yama')).toBeUndefined();
    expect(warning()).toContain('was found in no place that is read here');
    expect(warning('quiet', 'apparmor=0')).toContain('the entries of the boot loader differ');
  });
});
