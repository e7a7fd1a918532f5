import {
  supportedReleases,
  type DeviceRule,
  type Recipe,
  type RecipeDisk,
  type RecipePartition,
  type RecipeYocto,
} from '@boxship/catalog';
import { formatTable } from './table.ts';

/** The catalogue for people. */
export function formatMachines(machines: Readonly<Record<string, Recipe>>): string {
  const rows = Object.entries(machines).map(([name, recipe]) => [
    name,
    recipe.platform ?? '?',
    recipe.hardware?.ram.join(', ') ?? '?',
    supportedReleases(recipe).join(', ') || '-',
    recipe.flash?.join(', ') ?? '?',
    recipe.description,
  ]);
  return `${formatTable(['machine', 'platform', 'RAM', 'Yocto releases', 'flash with', ''], rows)}\n`;
}

/** Everything that a recipe says. */
export function formatMachine(name: string, recipe: Recipe): string {
  const { artifacts, disk, devices, yocto } = recipe;
  const parts = [
    `${name}: ${recipe.description}\n${indent(facts(recipe))}\n`,
    artifacts ? `  artifacts\n${indent(table(artifacts.map(({ formats, why }) => [formats.join(', '), why])), 4)}\n` : '',
    disk ? diskText(disk) : '',
    devices ? `  devices\n${indent(formatTable(['class', 'nodes', 'major', 'group'], Object.entries(devices).flatMap(deviceRows)), 4)}\n` : '',
    yocto ? yoctoText(yocto) : '',
    `  sources\n${indent(recipe.sources.join('\n'), 4)}\n`,
  ];
  return parts.filter((part) => part !== '').join('\n');
} // prettier-ignore

function facts({ platform, hardware, baseImage, flash, tezi }: Recipe): string {
  const storage = hardware?.storage.map(({ kind, sizes }) => [kind, ...(sizes ?? [])].join(' ')).join(', ');
  const rows = [
    ['platform', platform ?? '?'],
    ...(hardware
      ? [
          ['processor', `${hardware.soc ?? '?'}, ${hardware.wordSize} bit, ${hardware.mmu ? 'MMU' : 'no MMU'}, pages of ${hardware.pageSizes.join(' or ')}`],
          ['RAM', hardware.ram.join(', ')],
          ['storage', storage ?? '?'],
        ]
      : []),
    ...(baseImage ? [['base image', baseImage.join(', ')]] : []),
    ...(flash ? [['flash with', flash.join(', ')]] : []),
    ...(tezi ? [['TEZI', `${tezi.device}, product ids ${tezi.productIds.join(' ')}`]] : []),
  ];
  return table(rows);
} // prettier-ignore

function diskText(disk: RecipeDisk): string {
  const others = Object.entries(disk.tableIn ?? {}).map(([release, kind]) => `${kind} in ${release}`);
  const rows = disk.partitions.map((partition: RecipePartition) => [
    partition.name,
    partition.mount ?? '',
    partition.source ?? '',
    partition.filesystem ?? '',
    partition.fixedSize ?? (partition.size === undefined ? '' : `at least ${partition.size}`),
    partition.inTable === false ? 'not in the table' : partition.active ? 'active' : '',
  ]);
  const head = ['name', 'mount', 'source', 'file system', 'size', ''];
  const more = [
    ['boot loader', disk.bootloader.name],
    ['A/B', `${disk.ab.possible ? 'yes' : 'no'}: ${disk.ab.why}`],
  ];
  return `  disk (${[disk.table, ...others].join(', ')})\n${indent(formatTable(head, rows), 4)}\n${indent(table(more), 4)}\n`;
}

function deviceRows([name, rules]: readonly [string, readonly DeviceRule[]]): (readonly string[])[] {
  if (rules.length === 0) return [[name, '-']];
  return rules.map(({ nodes, interfaces, major, group }) => [
    name,
    nodes?.join(' ') ?? `network ${interfaces?.join(' ')}`,
    major === undefined ? '' : String(major),
    group ?? '',
  ]);
}

function yoctoText({ machine, overrides, layers, kernel, licences }: RecipeYocto): string {
  const layerRows = layers.map(({ name, path, collection, branches, repository }) => [
    path === undefined ? name : `${name} (${path})`,
    collection,
    Object.entries(branches)
      .map(([release, branch]) => (release === branch ? release : `${release}: ${branch}`))
      .join(', '),
    repository,
  ]);
  const kernelRows = Object.entries(kernel).map(([release, { recipe, version, fragments, collection }]) => [
    release,
    `${recipe} ${version}`,
    fragments,
    collection,
  ]);
  const agreed = (licences ?? []).map(({ variable, value, why }) => `${variable} = "${value}" is yours to agree to: ${why}`);
  const parts = [
    `    MACHINE = "${machine}", overrides ${overrides.join(' ')}`,
    layers.length === 0 ? '    layers: openembedded-core has it' : indent(formatTable(['layer', 'collection', 'branches', ''], layerRows), 4),
    indent(formatTable(['release', 'kernel', 'fragments', 'collection'], kernelRows), 4),
    ...(agreed.length === 0 ? [] : [indent(agreed.join('\n'), 4)]),
  ];
  return `  yocto\n${parts.join('\n')}\n`;
} // prettier-ignore

/** Rows without a header. */
function table(rows: readonly (readonly string[])[]): string {
  const [first = [], ...others] = rows;
  return formatTable(first, others);
}

function indent(text: string, by = 2): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(by));
}
