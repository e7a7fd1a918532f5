import { engines, wantedOptions } from '@boxship/engines';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram, type BuiltProgram } from './testing/built-program.ts';

const PRODUCT = `apiVersion: boxship/v1
product: acme-gateway
version: 1.4.0
machines:
  raspberrypi4-64: { base: ./vendor.img }
  qemuarm64: { base: ./vendor.img }
  mine: { base: ./vendor.img, platform: linux/arm64 }
apps:
  gateway: { compose: ./compose.yaml }
variants:
  basic: { apps: [gateway] }
`;
const COMPOSE_FILE = `services:
  broker: { image: "registry.example.com/acme/broker:1.4", mem_limit: 64m }
  gateway: { image: "registry.example.com/acme/gateway:1.4" }
`;
/** What a vendor's kernel often lacks. */
const LACKING = ['OVERLAY_FS', 'CFS_BANDWIDTH', 'IP_NF_RAW', 'NETFILTER_XT_MARK'];

/** A whole .config of a 64-bit Arm kernel that has what docker wants, but for some. */
function kernelConfig(lacking: readonly string[]): string {
  const options = wantedOptions(engines.docker.kernelOptions, { version: '6.6' });
  const lines = options.map(({ symbol, want }) => lacking.includes(symbol) ? `# CONFIG_${symbol} is not set` : `CONFIG_${symbol}=${want}`); // prettier-ignore
  return `#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.6.52 Kernel Configuration\n#\nCONFIG_MMU=y\nCONFIG_64BIT=y\n${lines.join('\n')}\n# end of Kernel hacking\n`;
}

let program: BuiltProgram;
beforeAll(async () => {
  program = await buildProgram();
  await program.write('boxship.yaml', PRODUCT);
  await program.write('compose.yaml', COMPOSE_FILE);
  await program.write('good.config', kernelConfig([]));
  await program.write('lacking.config', kernelConfig(LACKING));
});
afterAll(async () => {
  await program[Symbol.asyncDispose]();
});

const assess = (...args: string[]) => program.run(['assess', '--no-base', ...args]);

describe('boxship assess', () => {
  it('says that containers belong there, with every number', async () => {
    const args = ['--machine', 'raspberrypi4-64', '--flash', '8GiB', '--kernel-config', 'good.config'];
    const { code, stdout, stderr } = await assess(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot('golden/assess.txt');
  });

  it('says what the kernel lacks, with all reasons and sources when asked, and ends with 5', async () => {
    const args = ['--machine', 'raspberrypi4-64', '--kernel-config', 'lacking.config', '-v'];
    const { code, stdout } = await assess(...args);
    expect(code).toBe(5);
    await expect(stdout).toMatchFileSnapshot('golden/assess-kernel.txt');
  });

  it('says that the device is too small', async () => {
    const { code, stdout } = await assess('--machine', 'qemuarm64', '--ram', '128MiB', '--flash', '64MiB');
    expect(code).toBe(5);
    await expect(stdout).toMatchFileSnapshot('golden/assess-not-here.txt');
  });

  it('judges a machine that is in no recipe from what it is told', async () => {
    const { code, stdout } = await assess('--machine', 'mine');
    expect(code).toBe(0);
    expect(stdout).toContain('not known: The machine "mine" is in no recipe');
    const told = await assess('--machine', 'mine', '--ram', '2GiB', '--flash', '4GiB');
    expect(told.stdout).not.toContain('The size of the RAM is not known');
  });

  it('prints one JSON document for all of them, whose code is 5 when one is not here', async () => {
    const { code, stdout } = await assess('--json');
    const { assessments } = JSON.parse(stdout);
    expect(assessments.map((one: { machine: { name: string }; verdict: { target: string } }) => [one.machine.name, one.verdict.target])).toEqual([
      ['raspberrypi4-64', 'on-target'],
      ['qemuarm64', 'not-here'],
      ['mine', 'on-target'],
    ]);
    expect(code).toBe(5);
  }); // prettier-ignore

  it.each([
    ['a base image that is not there', ['assess', '--base', 'no.img'], /there is no file|no\.img/, 1],
    ['a kernel configuration that is not there', ['assess', '--no-base', '--kernel-config', 'no.config'], /there is no file no\.config/, 1],
    ['a size that is none', ['assess', '--ram', 'much'], /--ram/, 2],
    ['an unknown machine', ['assess', '--machine', 'raspberrypi5'], /there is no machine "raspberrypi5"[^]*Known: raspberrypi4-64, qemuarm64, mine/, 1],
    ['an unknown variant', ['assess', '--variant', 'pro'], /there is no variant "pro"/, 1],
  ])('refuses %s', async (_name, args, message, expected) => {
    const { code, stdout, stderr } = await program.run(args);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(stderr).toMatch(message);
  }); // prettier-ignore

  it('judges the engine of the variant, else that of the machine', async () => {
    const text = PRODUCT.replace('mine: {', 'mine: { engine: podman,').replace('basic: { apps: [gateway] }', 'basic: { apps: [gateway] }\n  trial: { apps: [gateway], engine: docker }'); // prettier-ignore
    await program.write('engines.yaml', text);
    const { stdout } = await assess('-f', 'engines.yaml', '--machine', 'mine', '--json');
    const engines = JSON.parse(stdout).assessments.map(({ engine }: { engine: string }) => engine);
    expect(engines).toEqual(['podman', 'docker']);
  });

  it('refuses a kernel of another architecture, half a configuration and an unknown engine', async () => {
    await program.write('x86.config', kernelConfig([]).replace('Linux/arm64', 'Linux/x86'));
    await program.write('half.config', kernelConfig([]).slice(0, 900));
    await program.write('rkt.yaml', PRODUCT.replace('apps:', 'engine: rkt\napps:'));
    const x86 = await assess('--kernel-config', 'x86.config');
    expect({ code: x86.code, stderr: x86.stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/boxship\.yaml:5:3: the kernel configuration of x86\.config is for x86, the machine "raspberrypi4-64" is linux\/arm64/) });
    const half = await assess('--kernel-config', 'half.config');
    expect({ code: half.code, stderr: half.stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('it is not the whole configuration') });
    const rkt = await assess('-f', 'rkt.yaml');
    expect({ code: rkt.code, stderr: rkt.stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('Known: containerd, docker, k3s, podman') });
  }); // prettier-ignore
});
