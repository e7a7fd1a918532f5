import type {
  InspectedFilesystem,
  InspectedPartition,
  InspectedStore,
  InspectedSystem,
  Inspection,
} from '@boxship/inspect';
import { formatByteSize, type Problem } from '@boxship/model';

/** A line of the tree, and what stands below it. */
interface Branch {
  readonly text: string;
  readonly below?: readonly Branch[];
}

/** What an inspection found, as a tree for people. Whatever a file calls things, no control character reaches the terminal. */
export function formatInspection(inspection: Inspection): string {
  const { path, format, kind, size, compression } = inspection;
  const facts = [KINDS[kind] ?? kind, format, ...(compression === undefined ? [] : [compression])];
  const title = `${path}: ${[...new Set(facts)].join(', ')}${size === undefined ? '' : `, ${formatByteSize(size)}`}`;
  return `${[printable(title), ...draw(branchesOf(inspection), '')].join('\n')}\n`;
}

const KINDS: Readonly<Partial<Record<Inspection['kind'], string>>> = {
  disk: 'disk image',
  installer: 'image for an installer',
  filesystem: 'file system',
  'store-bundle': 'store',
  update: 'update',
};

function branchesOf({
  devices,
  filesystem,
  installer,
  release,
  images,
  update,
  problems,
}: Inspection): readonly Branch[] {
  return [
    ...(installer ? [installerBranch(installer)] : []),
    ...(devices ?? []).map(deviceBranch),
    ...(filesystem ? [{ text: filesystemText(filesystem), below: filesystemBranches(filesystem) }] : []),
    ...(release ? releaseBranches(release) : []),
    ...(images?.images ?? []).map(imageBranch),
    ...(update ? updateBranches(update) : []),
    ...problemBranches(problems),
  ];
}

function installerBranch({ name, version, configFormat, productIds, autoinstall }: NonNullable<Inspection['installer']>): Branch {
  const facts = [`config_format ${configFormat}`, `product ids ${productIds.join(' ')}`, ...(autoinstall ? ['installs by itself'] : [])];
  return { text: `${name}${version === undefined ? '' : ` ${version}`}: ${facts.join(', ')}` };
} // prettier-ignore

function deviceBranch({ name, table, size, sectorSize, partitions }: NonNullable<Inspection['devices']>[number]): Branch {
  const facts = [
    ...(table === undefined ? [] : [table.toUpperCase()]),
    ...(size === undefined ? [] : [formatByteSize(size)]),
    ...(sectorSize === undefined || sectorSize === 512 ? [] : [`sectors of ${sectorSize} bytes`]),
  ];
  return { text: `${name}${facts.length > 0 ? `: ${facts.join(', ')}` : ''}`, below: partitions.map(partitionBranch) };
} // prettier-ignore

function partitionBranch({ number, name, size, filesystem, files, problems }: InspectedPartition): Branch {
  const head = [String(number), ...(name === undefined ? [] : [name]), ...(size === undefined ? [] : [formatByteSize(size)])]; // prettier-ignore
  return {
    text: `${head.join('  ')}${filesystem ? `  ${filesystemText(filesystem, name)}` : ''}`,
    below: [
      ...(files ?? []).map((file) => ({ text: `file ${file}` })),
      ...(filesystem ? filesystemBranches(filesystem) : []),
      ...problemBranches(problems),
    ],
  };
}

function filesystemText({ kind, label, size, free }: InspectedFilesystem, shown?: string): string {
  const facts = [
    kind === 'unknown' ? 'no file system that is known' : kind,
    ...(label === undefined || label === shown ? [] : [`"${label}"`]),
    ...(size === undefined || free === undefined ? [] : [`${formatByteSize(size - free)} of ${formatByteSize(size)} used`]),
  ]; // prettier-ignore
  return facts.join(', ');
}

function filesystemBranches({ system, store }: InspectedFilesystem): readonly Branch[] {
  return [...(system ? systemBranches(system) : []), ...(store ? storeBranches(store) : [])];
}

function systemBranches(system: InspectedSystem): readonly Branch[] {
  const { name, init, systemdVersion, kernelVersion, kernelArchitecture, ostree, readOnlyRoot, socketVersion } = system;
  const facts = [
    name ?? (init === undefined ? undefined : 'a system without a name'),
    systemdVersion === undefined ? init : `systemd ${systemdVersion}`,
    kernelVersion && `Linux ${[kernelVersion, kernelArchitecture].join(' ').trim()}`,
    ostree && 'OSTree',
    readOnlyRoot && 'read-only root',
    socketVersion !== undefined && `device socket of Boxship, version ${socketVersion}`,
  ].filter((fact) => typeof fact === 'string');
  return [
    ...(facts.length > 0 ? [{ text: facts.join(', ') }] : []),
    ...system.engines.map((engine) => ({
      text: `engine ${engine.name} ${engine.version ?? '(version unknown)'}, ${engine.program}`,
    })),
    ...system.stores.map(engineStoreBranch),
  ];
}

function storeBranches(store: InspectedStore): readonly Branch[] {
  const { product, version, variant, machine, platform, engine, signature } = store;
  return [
    { text: `${product} ${version}, ${variant} for ${machine} (${platform}), engine ${engine}` },
    { text: `signature ${signature}` },
    ...(store.apps.length > 0 ? [{ text: `apps: ${store.apps.join(', ')}` }] : []),
    ...store.images.map(({ reference, config, layers }) => ({
      text: `image ${reference}, ${count(layers, 'layer')}`,
      below: [{ text: `id ${config}` }],
    })),
    ...store.stores.map(engineStoreBranch),
  ];
}

function engineStoreBranch({ engine, folder, images, problems }: InspectedSystem['stores'][number]): Branch {
  return {
    text: `${engine}'s store in ${folder}: ${count(images.length, 'image')}`,
    below: [...images.map(imageBranch), ...problemBranches(problems)],
  };
}

interface ShownImage {
  readonly names: readonly string[];
  readonly id?: string;
  readonly manifest?: string;
  readonly platform?: string;
  readonly layers?: number;
  readonly size?: number;
  readonly namespace?: string;
  readonly artifactType?: string;
  readonly missing?: boolean;
}

function imageBranch(image: ShownImage): Branch {
  const { names, id, manifest, platform, layers, size, namespace, artifactType, missing } = image;
  const facts = [
    artifactType === undefined ? undefined : `artifact ${artifactType}`,
    platform,
    layers === undefined || missing ? undefined : count(layers, 'layer'),
    size === undefined ? undefined : formatByteSize(size),
    namespace === undefined ? undefined : `namespace ${namespace}`,
    missing ? 'its documents are not here' : undefined,
  ].filter((fact) => fact !== undefined);
  return {
    text: `${names[0] ?? 'no name'}: ${facts.join(', ')}`,
    below: [
      ...names.slice(1).map((name) => ({ text: `also ${name}` })),
      ...(id === undefined ? [] : [{ text: `id ${id}` }]),
      ...(manifest === undefined ? [] : [{ text: `manifest ${manifest}` }]),
    ],
  };
}

function releaseBranches(release: NonNullable<Inspection['release']>): readonly Branch[] {
  const { product, version, variant, machine, engine, signature, development, apps, images, files } = release;
  const states = { there: '', absent: ', ABSENT', 'wrong size': ', of another size than it should be' };
  return [
    { text: `${product} ${version}, ${variant} for ${machine ?? '?'}, engine ${engine ?? '?'}` },
    { text: `signature ${signature}${development ? ', by a DEVELOPMENT key' : ''}` },
    ...(apps.length > 0 ? [{ text: `apps: ${apps.join(', ')}` }] : []),
    ...images.map(({ reference, manifest }) => ({ text: `image ${reference}`, below: [{ text: `manifest ${manifest}` }] })),
    ...files.map(({ name, size, digest, state }) => ({
      text: `file ${name}, ${formatByteSize(size)}${states[state]}`,
      below: [{ text: digest }],
    })),
  ]; // prettier-ignore
}

function updateBranches({ description, members }: NonNullable<Inspection['update']>): readonly Branch[] {
  const lines = description.split('\n').filter((line) => line.trim() !== '');
  return [
    ...(lines.length === 0
      ? []
      : [{ text: 'says of itself', below: lines.map((line) => ({ text: line.replaceAll('\t', '  ') })) }]),
    ...members.map(({ name, size }) => ({ text: `member ${name}, ${formatByteSize(size)}` })),
  ];
}

function problemBranches(problems: readonly Problem[]): readonly Branch[] {
  return problems.map(({ message, hint }) => ({
    text: `problem: ${message}`,
    ...(hint === undefined ? {} : { below: [{ text: `hint: ${hint}` }] }),
  }));
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function draw(branches: readonly Branch[], margin: string): string[] {
  return branches.flatMap(({ text, below }, at) => {
    const isLast = at === branches.length - 1;
    const inner = `${margin}${isLast ? '   ' : '│  '}`;
    return [`${margin}${isLast ? '└─' : '├─'} ${printable(text)}`, ...draw(below ?? [], inner)];
  });
}

/** Labels, names and messages come from files of others: a terminal obeys control characters, so none is left. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
