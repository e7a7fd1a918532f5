import { findRecipe, recipeNames } from '@boxship/catalog';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatMachine, formatMachines } from './machines-report.ts';
import { buildProgram, type BuiltProgram } from './testing/built-program.ts';

let program: BuiltProgram;
beforeAll(async () => {
  program = await buildProgram();
});
afterAll(async () => {
  await program[Symbol.asyncDispose]();
});

describe('boxship machines', () => {
  it('lists the catalogue, without a product file', async () => {
    const { code, stdout, stderr } = await program.run(['machines']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot('golden/machines.txt');
  });

  it('explains one machine with its sources', async () => {
    const { stdout } = await program.run(['machines', 'verdin-imx8mp']);
    await expect(stdout).toMatchFileSnapshot('golden/machine.txt');
  });

  it('prints every recipe as one JSON document', async () => {
    const { stdout } = await program.run(['machines', '--json']);
    const { machines } = JSON.parse(stdout);
    expect(Object.keys(machines)).toEqual([...recipeNames()]);
    expect(machines['qemux86-64'].releases).toEqual(['scarthgap', 'whinlatter', 'wrynose', 'master']);
    expect(machines['verdin-imx8mp']).toMatchObject(JSON.parse(JSON.stringify(findRecipe('verdin-imx8mp'))));
  });

  it('says which there are when there is no such machine', async () => {
    const { code, stderr } = await program.run(['machines', 'verdin']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /there is no recipe "verdin"[^]*Did you mean verdin-am62 or verdin-imx8mp\? Known: .*verdin-imx8mp/,
    );
    expect((await program.run(['machines', 'KV260'])).stderr).toContain('Did you mean k26-smk-kv-sdt?');
  });

  it('shows a machine of which little is known', () => {
    const little = { description: 'a board', sources: ['its data sheet'] };
    expect(formatMachine('board', little)).toBe('board: a board\n  platform  ?\n\n  sources\n    its data sheet\n');
    expect(formatMachines({ board: little })).toContain('board');
  });
});
