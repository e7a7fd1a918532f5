import { describe, expect, it } from 'vitest';
import type { DeviceFacts } from '@boxship/model';
import { exampleFacts } from './example-facts.ts';
import { cgroupWarnings, kernelParameter, switchesAppArmorOn } from './kernel-command-line.ts';

const BUILT_IN = { SECURITY_APPARMOR: 'y', LSM: 'lockdown,yama,apparmor,bpf' };
const facts = (texts: readonly string[], kernelConfig?: Record<string, string>): DeviceFacts => ({
  ...exampleFacts,
  ...(kernelConfig ? { kernelConfig } : {}),
  kernelCommandLines: texts.map((text) => ({ where: 'partition 1: loader/entries/a.conf', text })),
});

describe('kernelParameter', () => {
  it.each([
    ['a=1 b a=2', 'a', '2'],
    ['quiet', 'quiet', ''],
    ['aa=1 b', 'a', undefined],
    ['x="a b" lsm="yama,apparmor"', 'lsm', 'yama,apparmor'],
    ['dyndbg="file a +p ; b=3" b=4', 'b', '4'],
    ['', 'a', undefined],
  ])('%s: %s', (text, name, value) => {
    expect(kernelParameter(text, name)).toBe(value);
  });
});

describe('switchesAppArmorOn', () => {
  it.each([
    ['built in', ['root=/dev/sda2'], BUILT_IN, true],
    ['apparmor=0', ['quiet apparmor=0'], BUILT_IN, false],
    ['lsm= without it', ['lsm=yama,selinux'], BUILT_IN, false],
    ['lsm= with it', ['lsm=yama,apparmor'], { ...BUILT_IN, LSM: 'yama' }, true],
    ['another old module', ['security=selinux selinux=1'], BUILT_IN, false],
    ['itself as the old module', ['apparmor=1 security=apparmor'], { ...BUILT_IN, LSM: 'yama,selinux' }, true],
    ['not the default', ['quiet'], { ...BUILT_IN, LSM: 'yama' }, false],
    ['not in the kernel', ['security=apparmor'], { LSM: 'yama' }, false],
    ['entries that differ', ['quiet', 'quiet apparmor=0'], BUILT_IN, undefined],
    ['entries that agree', ['quiet apparmor=0', 'apparmor=0 single'], BUILT_IN, false],
    ['no command line', [], BUILT_IN, undefined],
    ['no command line, not the default', [], { ...BUILT_IN, LSM: 'yama' }, false],
    ['no configuration', ['quiet'], undefined, undefined],
  ])('%s', (_name, texts, config, expected) => {
    expect(switchesAppArmorOn(facts(texts, config as Record<string, string> | undefined))).toBe(expected);
  });
});

describe('cgroupWarnings', () => {
  const codes = (text: string, systemdVersion = 252) =>
    cgroupWarnings({ ...facts([text]), systemdVersion }, 'docker').map(({ code }) => code);

  it.each([
    ['quiet', 252, []],
    ['cgroup_disable=memory', 252, ['CGROUPS_DISABLED']],
    ['cgroup_disable=memory cgroup_enable=memory', 252, []],
    ['cgroup_disable=pressure', 252, []],
    ['systemd.unified_cgroup_hierarchy=0', 252, []],
    ['systemd.unified_cgroup_hierarchy=0', 257, ['CGROUP_V1_REFUSED']],
    ['systemd.unified_cgroup_hierarchy=1', 257, []],
    ['systemd.unified_cgroup_hierarchy=no SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1', 257, []],
    ['systemd.unified_cgroup_hierarchy=no SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1', 258, ['CGROUP_V1_REFUSED']],
  ])('%s under systemd %d', (text, version, expected) => {
    expect(codes(text, version)).toEqual(expected);
  });

  it('names the file', () => {
    expect(cgroupWarnings(facts(['cgroup_disable=memory']), 'docker')[0]!.message).toContain('partition 1: loader/entries/a.conf'); // prettier-ignore
  });
});
