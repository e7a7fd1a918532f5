import type { Command } from 'commander';
import { findRecipe, recipeNames, supportedReleases, type Recipe } from '@boxship/catalog';
import { UserError } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import { formatMachine, formatMachines } from './machines-report.ts';

/** `boxship machines`: the catalogue, or all that it knows of one machine. */
export function addMachines(program: Command): void {
  const command = program
    .command('machines')
    .summary('list the machines of the catalogue, or explain one')
    .description(
      'Lists the machines that Boxship knows, or all that it knows of one: hardware, disk, device nodes, and the layers and\n' +
        'kernel of each Yocto release, with the sources. A product file uses one by its name. Needs no product file.',
    )
    .argument('[machine]', 'explain this one');
  examples(command, [
    ['boxship machines', 'all of them'],
    ['boxship machines raspberrypi4-64', 'one, with every fact and its source'],
    ['boxship machines --json', 'one JSON document: { "machines": { name: recipe, ... } }'],
  ]);
  defineAction<object, [string | undefined]>(command, async ({ result }, _options, name) => {
    if (name === undefined) {
      const machines = Object.fromEntries(recipeNames().map((machine) => [machine, findRecipe(machine)!]));
      result({ machines: Object.fromEntries(Object.entries(machines).map(withReleases)) }, formatMachines(machines));
      return;
    }
    const recipe = findRecipe(name);
    if (!recipe) {
      const alike = recipeNames().filter((machine) => speaksOf(machine, name));
      throw new UserError(
        'UNKNOWN_MACHINE',
        `there is no recipe "${name}" in the catalogue`,
        `${alike.length > 0 ? `Did you mean ${alike.join(' or ')}? ` : ''}Known: ${recipeNames().join(', ')}. A product file may define others in place.`,
      );
    }
    result({ machines: Object.fromEntries([withReleases([name, recipe])]) }, formatMachine(name, recipe));
  });
}

/** Whether somebody who calls it `word` could mean this machine: KV260 has the name of its MACHINE, not its own. */
function speaksOf(machine: string, word: string): boolean {
  return `${machine} ${findRecipe(machine)!.description}`.toLowerCase().includes(word.toLowerCase());
}

/** The recipe, and in which Yocto releases it can be built. */
function withReleases([name, recipe]: readonly [string, Recipe]) {
  return [name, { ...recipe, releases: supportedReleases(recipe) }] as const;
}
