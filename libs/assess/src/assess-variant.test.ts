import { describe, expect, it } from 'vitest';
import { findRecipe } from '@boxship/catalog';
import { engines, wantedOptions } from '@boxship/engines';
import { GiB, MiB, type ContainerSettings, type DeviceFacts, type Service } from '@boxship/model';
import { assessVariant } from './assess-variant.ts';
import type { Check, Subject } from './assessment.ts';
import type { KnownFacts } from './known-facts.ts';

const service = (name: string, settings: ContainerSettings = { memLimit: 64 * MiB }): Service => ({
  name,
  where: { file: 'compose.yaml' },
  image: `registry.example.com/acme/${name}:1`,
  environment: {},
  ports: [],
  mounts: [],
  networks: [],
  dependsOn: [],
  restart: 'always',
  labels: {},
  settings,
});

const facts: DeviceFacts = {
  osRelease: { ID: 'poky', PRETTY_NAME: 'Poky 5.0' },
  init: 'systemd',
  systemdVersion: 255,
  unitDirectory: '/usr/lib/systemd/system',
  mergedUsr: true,
  selinux: false,
  apparmorParser: false,
  ostree: false,
  readOnlyRoot: false,
  engines: [{ name: 'docker', version: '25.0.9', program: '/usr/bin/dockerd', composePlugin: false }],
  programs: {},
};

const options: Record<string, string> = Object.fromEntries([
  ...wantedOptions(engines.docker.kernelOptions, { version: '6.6' }).map(({ symbol, want }) => [symbol, want] as const),
  ...['MMU', '64BIT', 'ARM64_4K_PAGES'].map((symbol) => [symbol, 'y'] as const),
]);

/** A device where everything is well. */
const WELL: KnownFacts = {
  platform: 'linux/arm64',
  engine: 'docker',
  distroFeatures: ['ipv6', 'seccomp', 'virtualization'],
  services: [service('web'), service('db')],
  recipe: findRecipe('verdin-imx8mp')!,
  ram: [1 * GiB, 2 * GiB],
  storage: { kind: 'emmc', size: 16 * GiB },
  base: { size: 600 * MiB, facts },
  kernel: { from: 'the base image', version: '6.6.52', architecture: 'arm64', options },
  bundle: { bytes: 400 * MiB, exact: true },
  store: { size: 'auto', reserve: 0.2 },
  dataSize: 64 * MiB,
};

const assess = (change: Partial<KnownFacts> = {}) =>
  assessVariant(
    { name: 'acme', version: '1' },
    'basic',
    { name: 'verdin', platform: WELL.platform },
    { ...WELL, ...change },
  );
const without = (...keys: (keyof KnownFacts)[]) =>
  Object.fromEntries(
    Object.entries(WELL).filter(([key]) => !keys.includes(key as keyof KnownFacts)),
  ) as unknown as KnownFacts;
const standing = (checks: readonly Check[], subject: Subject) =>
  checks.filter((check) => check.subject === subject).map((check) => check.standing);
const kernelWith = (change: Record<string, string>): Partial<KnownFacts> => ({
  kernel: { ...WELL.kernel!, options: { ...options, ...change } },
});

describe('a device where everything is well', () => {
  const { verdict, checks, unknown, memory, flash } = assess();

  it('gets containers, with reasons', () => {
    expect(verdict).toMatchObject({ target: 'on-target', shape: 'microservices', engine: 'docker', headless: false });
    expect(verdict.mend).toBeUndefined();
    expect(verdict.reasons.join(' ')).toContain('Processor, kernel, memory and flash are enough.');
    expect(checks.filter(({ standing }) => standing !== 'good')).toEqual([]);
    expect(unknown).toEqual([]);
  });

  it('has budgets that add up', () => {
    const { total, kernel, system, engine, containers, apps, free } = memory!;
    expect(kernel + system + engine + containers + apps + free).toBe(total);
    expect({ total, apps }).toEqual({ total: GiB, apps: 128 * MiB });
    expect(flash.base! + flash.store! + flash.data + flash.free!).toBe(16 * GiB);
    // 400 MiB of images, 5 % of file system, a fifth left free
    expect(flash.store).toBe(Math.ceil((400 * MiB * 1.05) / 0.8));
    // 16 GiB × 3000 cycles × half of it / (4 × 10 years)
    expect(flash.writesPerDay).toBe(Math.floor((16 * GiB * 3000 * 0.5) / (4 * 3650)));
  });
});

describe('what speaks against containers', () => {
  it.each<[string, Partial<KnownFacts>, 'on-target' | 'development-only' | 'not-here', 'base' | 'engine' | undefined, Subject, string]>([
    ['a required kernel option is off', kernelWith({ OVERLAY_FS: 'n' }), 'not-here', 'base', 'kernel', 'CONFIG_OVERLAY_FS'],
    ['a feature of the kernel is off', kernelWith({ BRIDGE: 'n' }), 'on-target', undefined, 'kernel', 'bridge-network'],
    ['no MMU', kernelWith({ MMU: 'n' }), 'not-here', undefined, 'processor', 'no MMU'],
    ['too little RAM for the engine, enough for the apps', { ram: [260 * MiB] , services: [service('web', { memLimit: 150 * MiB })] }, 'development-only', undefined, 'memory', 'too few'],
    ['too little RAM for docker, enough for podman', { ram: [300 * MiB] , services: [service('web', { memLimit: 150 * MiB })] }, 'not-here', 'engine', 'memory', 'too few'],
    ['too little RAM for anything', { ram: [64 * MiB] }, 'not-here', undefined, 'memory', 'too few'],
    ['hardly enough RAM', { ram: [430 * MiB] }, 'on-target', undefined, 'memory', 'are wanted'],
    ['a bundle larger than the flash', { bundle: { bytes: 20 * GiB, exact: true } }, 'development-only', undefined, 'flash', 'too few'],
    ['no room for a second store', { storage: { kind: 'emmc', size: 1600 * MiB } }, 'on-target', undefined, 'flash', 'a second store'],
    ['another init', { base: { ...WELL.base!, facts: { ...facts, init: 'other' } } }, 'not-here', 'base', 'system', 'does not start with systemd'],
    ['no engine in the image', { base: { ...WELL.base!, facts: { ...facts, engines: [] } } }, 'on-target', undefined, 'system', 'has no docker'],
    ['an old systemd', { base: { ...WELL.base!, facts: { ...facts, systemdVersion: 244 } } }, 'on-target', undefined, 'system', 'cgroup v1'],
    ['pages of 16 KiB', kernelWith({ ARM64_4K_PAGES: 'n', ARM64_16K_PAGES: 'y' }), 'on-target', undefined, 'processor', '16 KiB'],
    ['32 bits', { platform: 'linux/arm/v7', ...kernelWith({ '64BIT': 'n' }) }, 'on-target', undefined, 'processor', '32-bit'],
    ['an engine that is not built for it', { platform: 'linux/ppc64le', base: { ...WELL.base!, facts: { ...facts, engines: [] } } }, 'not-here', undefined, 'processor', 'cannot be built for'],
    ['no memory limits', { services: [service('web', {}), service('db', {})] }, 'on-target', undefined, 'memory', 'no memory limit (web, db)'],
  ])('%s', (_name, change, target, mend, subject, finding) => {
    const { verdict, checks } = assess(change);
    expect({ target: verdict.target, mend: verdict.mend }).toEqual({ target, mend });
    const found = checks.find((check) => check.subject === subject && check.finding.includes(finding));
    expect(found, JSON.stringify(checks, null, 1)).toBeDefined();
    expect(found!.standing).toMatch(/bad|caution/);
    expect(verdict.reasons.join(' ').length).toBeGreaterThan(20);
  }); // prettier-ignore
});

describe('the shape and the engine', () => {
  it('is one container when there is one', () => {
    expect(assess({ services: [service('web')] }).verdict.shape).toBe('monolithic');
  });

  it('is one container when many would eat the RAM', () => {
    const services = Array.from({ length: 30 }, (_, i) => service(`s${i}`, { memLimit: MiB }));
    const { verdict } = assess({ services });
    expect(verdict.shape).toBe('monolithic');
    expect(verdict.reasons.join(' ')).toContain('30 containers cost 240.0 MiB of RAM');
  });

  it('is headless without a display, or without RAM for one', () => {
    const recipe = { ...WELL.recipe!, devices: { ...WELL.recipe!.devices!, drm: [] } };
    expect(assess({ recipe }).verdict.reasons.join(' ')).toContain('Headless: the machine has no display.');
    expect(assess({ ram: [600 * MiB] }).verdict.headless).toBe(true);
    expect(assess({ ram: [2 * GiB] }).verdict.headless).toBe(false);
  });

  it('compares every engine, and takes another when the own does not fit', () => {
    const { engines, verdict } = assess({ engine: 'k3s' });
    expect(engines.map(({ name }) => name)).toEqual(['podman', 'containerd', 'docker', 'k3s']);
    expect(verdict).toMatchObject({ target: 'not-here', mend: 'engine', engine: 'podman' });
    expect(verdict.reasons.join(' ')).toContain('podman instead of k3s');
  });
});

describe('what is not known', () => {
  it.each<[keyof KnownFacts, Subject, RegExp]>([
    ['kernel', 'kernel', /--kernel-config/],
    ['storage', 'flash', /--flash/],
    ['base', 'system', /^$/],
  ])('%s: is said, and not guessed', (key, subject, told) => {
    const { verdict, checks, unknown } = assessVariant(
      { name: 'acme', version: '1' },
      'basic',
      { name: 'verdin', platform: WELL.platform },
      without(key),
    );
    expect(standing(checks, subject)).toContain('unknown');
    if (told.source !== '^$') expect(unknown.join('\n')).toMatch(told);
    expect(verdict.target).toBe('on-target');
    expect(verdict.reasons.join(' ')).toContain('Nothing that is known speaks against it');
  });

  it('is nearly everything for a machine that nobody knows', () => {
    const { verdict, checks, memory, unknown, flash } = assessVariant(
      { name: 'acme', version: '1' },
      'basic',
      { name: 'mine', platform: 'linux/arm64' },
      { ...without('kernel', 'storage', 'base', 'recipe', 'bundle'), ram: [] },
    );
    expect(verdict.target).toBe('on-target');
    expect(memory).toBeUndefined();
    expect(flash).toEqual({ data: 64 * MiB });
    expect(unknown).toHaveLength(3);
    expect(new Set(checks.filter(({ standing }) => standing === 'unknown').map(({ subject }) => subject))).toEqual(
      new Set(['kernel', 'system', 'memory', 'flash', 'wear']),
    );
  });

  it('has an assumption with a source for every number that was not given', () => {
    const { assumptions } = assess({ services: [service('web', {})], bundle: { bytes: MiB, exact: false } });
    for (const { source } of assumptions) expect(source).toMatch(/\w/);
    const all = assumptions.map(({ what }) => what).join('\n');
    expect(all).toMatch(/sets no memory limit/);
    expect(all).toMatch(/unpacked bytes of an image layer/);
  });
});
