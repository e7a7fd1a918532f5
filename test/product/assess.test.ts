import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { describe, expect, inject, it } from 'vitest';
import { boxship } from './sample-product.ts';

const product = inject('product');

/** The assessments of the sample product, and the exit code. */
async function assess(...args: readonly string[]) {
  const { code, stdout } = await runProgram(process.execPath, [product.program, '--json', 'assess', ...args], {
    cwd: product.folder,
    env: { BOXSHIP_CACHE: join(product.folder, 'cache') }, // where lock has read the layers
    accept: [0, 5],
  });
  return { code, document: JSON.parse(stdout.toString()) };
}

describe('boxship assess on the sample base image', () => {
  it('knows its kernel, its engine, its size and the bundle, and finds it right with enough RAM', async () => {
    const { code, document } = await assess('--variant', 'pro', '--ram', '2GiB', '--flash', '8GiB');
    expect(code).toBe(0);
    const [one] = document.assessments;
    expect(one.verdict).toMatchObject({ target: 'on-target', engine: 'docker', shape: 'microservices' });
    const of = (subject: string) => one.checks.filter((check: { subject: string }) => check.subject === subject);
    // Debian's kernel, read from /boot/config-* of a real image, has all that every engine wants
    expect(of('kernel')).toEqual([
      { subject: 'kernel', standing: 'good', finding: 'has every option that docker uses as it comes' },
    ]);
    expect(one.kernel).toMatchObject({ from: 'the base image', missing: [] });
    expect(one.kernel.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(one.engines.map(({ missingRequired }: { missingRequired: number }) => missingRequired)).toEqual([
      0, 0, 0, 0,
    ]);
    expect(of('system').map(({ finding }: { finding: string }) => finding)).toEqual([
      expect.stringMatching(/^Debian .*, systemd \d+$/),
      expect.stringMatching(/^docker \d.* \(\/usr\/s?bin\/dockerd\)$/),
    ]);
    expect(one.flash.base).toBeGreaterThan(100e6);
    expect(one.flash.bundle.exact).toBe(true); // boxship lock has read every layer
    expect(one.unknown).toEqual([]);
  });

  it('finds the RAM too small that runqemu gives such a machine', async () => {
    const { code, document } = await assess('--variant', 'basic');
    expect(code).toBe(5);
    expect(document.assessments[0].memory.total).toBe(256 * 1024 * 1024);
    expect(document.assessments[0].verdict.target).toBe('not-here');
  });

  it('sizes the bundle as the plan does, to a tenth', async () => {
    const { document } = await assess('--variant', 'pro');
    const plan = JSON.parse(await boxship(product, '--json', 'plan', '--variant', 'pro')).variants[0].budget;
    const { bytes } = document.assessments[0].flash.bundle;
    expect(Math.abs(bytes - plan.contents) / plan.contents).toBeLessThan(0.1);
  });
});
