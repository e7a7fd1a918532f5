import type { ReleasePlan, VariantPlan } from '@boxship/compose';
import { formatByteSize } from '@boxship/model';
import { formatTable } from './table.ts';

/** Layers that are listed without `-v`; the largest come first. */
const SHOWN_LAYERS = 10;

/** A plan for people. */
export function formatPlan(plan: VariantPlan, { verbose }: { readonly verbose: boolean }): string {
  const parts = [
    header(plan),
    partitions(plan),
    rootfsChanges(plan, verbose),
    budget(plan, verbose),
    secrets(plan),
    warnings(plan),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** The same of a release whose store is not laid out anew, or whose layers are not listed. */
export function formatReleasePlan(plan: ReleasePlan, { verbose }: { readonly verbose: boolean }): string {
  const parts = [header(plan), partitions(plan), rootfsChanges(plan, verbose), secrets(plan), warnings(plan)];
  return parts.filter((part) => part !== '').join('\n');
}

function header({ variant, folder, files }: ReleasePlan): string {
  const { name, machine, engine, base, images } = variant;
  const rows = [
    ...(base ? [['base', short(base.digest), formatByteSize(base.size)]] : []),
    ...images.map(({ reference, manifest, layers }) => [
      'image',
      short(manifest.digest),
      `${reference}, ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`,
    ]),
  ];
  const output = [`output  ${folder}/`, ...files.map((file) => `        ${file}`)].join('\n');
  const title = `${name} for ${machine.name} (${machine.platform}), engine ${engine.name}`;
  return `${title}\n${indent(`${columns(rows)}\n${output}`)}\n`;
}

function partitions({ table, rootfs }: ReleasePlan): string {
  const before = new Map(table.before.partitions.map((partition) => [partition.number, partition]));
  const rows = table.after.partitions.map((partition) => {
    const { number, name = '', role, start, size } = partition;
    const was = before.get(number);
    const note = was === undefined ? 'new' : number === rootfs.partition && rootfs.changes.length > 0 ? 'edited' : '';
    return [String(number), name, role, start === undefined ? '-' : formatByteSize(start), was ? formatByteSize(was.size) : '-', formatByteSize(size), note]; // prettier-ignore
  });
  const disk = ['', 'disk', '', '', formatByteSize(table.before.size), formatByteSize(table.after.size), ''];
  return `  partitions (${table.type.toUpperCase()})\n${indent(
    formatTable(['#', 'name', 'role', 'start', 'before', 'after', ''], [...rows, disk], [0, 3, 4, 5]),
    4,
  )}\n`;
}

function rootfsChanges({ rootfs }: ReleasePlan, verbose: boolean): string {
  const { changes, partition } = rootfs;
  if (changes.length === 0)
    return `  rootfs (partition ${partition}): has the device socket already, not one byte changes\n`;
  const replaced = changes.filter(({ action }) => action === 'replace').length;
  const count = `files added: ${changes.length - replaced}, replaced: ${replaced}`;
  const list = verbose
    ? `\n${indent(columns(changes.map(({ action, path, why }) => [action, path, why])), 4)}`
    : ' (list them: -v)';
  return `  rootfs (partition ${partition}): ${count}${list}\n`;
}

function budget(
  { budget: { size, contents, overhead, free, reserve, apps, layers } }: VariantPlan,
  verbose: boolean,
): string {
  const percent = (bytes: number) => `${((100 * bytes) / size).toFixed(1)} %`;
  const totals = formatTable(
    ['store', formatByteSize(size), ''],
    [
      ['contents', formatByteSize(contents), percent(contents)],
      ['file system', formatByteSize(overhead), percent(overhead)],
      ['free', formatByteSize(free), `${percent(free)}, ${Math.round(reserve * 100)} % asked for`],
    ],
    [1],
  );
  const appTable = formatTable(
    ['app', 'layers', 'of them shared with other apps', 'own files'],
    apps.map(({ name, bytes, shared, files }) => [
      name,
      formatByteSize(bytes),
      formatByteSize(shared),
      formatByteSize(files),
    ]),
    [1, 2, 3],
  );
  const shown = verbose ? layers : layers.slice(0, SHOWN_LAYERS);
  const layerTable = formatTable(
    ['layer', 'files', 'entries', 'held by'],
    shown.map(({ diffId, bytes, entries, images }) => [
      short(diffId),
      formatByteSize(bytes),
      String(entries),
      images.join(', '),
    ]),
    [1, 2],
  );
  const rest = layers.slice(shown.length);
  const more = rest.length === 0 ? '' : `\n${rest.length} smaller ones, ${formatByteSize(rest.reduce((sum, { bytes }) => sum + bytes, 0))} (list them: -v)`; // prettier-ignore
  return `${indent(totals)}\n\n${indent(appTable)}\n\n${indent(layerTable + more)}\n`;
}

function secrets({ variant }: ReleasePlan): string {
  const rows = variant.apps.flatMap(({ name, secrets: own }) =>
    (own ?? []).map(({ name: secret, place }) => [
      `${name}/${secret}`,
      place.from === 'image'
        ? 'BAKED INTO THE IMAGE: whoever has the image can read it; not for a release'
        : place.from === 'data'
          ? `on the device: ${place.path}`
          : `on the device: systemd credential ${place.credential}`,
    ]),
  );
  return rows.length === 0 ? '' : `  secrets\n${indent(columns(rows), 4)}\n`;
}

function warnings({ warnings: lines }: ReleasePlan): string {
  return lines.map((line) => `  warning: ${line.replaceAll('\n', '\n  ')}\n`).join('');
}

/** Rows without a header. */
function columns(rows: readonly (readonly string[])[]): string {
  const [first = [], ...others] = rows;
  return formatTable(first, others);
}

/** Enough of a digest to tell it from others: `sha256:0123456789ab`. */
function short(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

function indent(text: string, by = 2): string {
  return text.replace(/^(?=.)/gm, ' '.repeat(by));
}
