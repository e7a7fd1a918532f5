import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { findRecipe, parseProduct, recipeNames, supportedReleases, type Recipe } from '@boxship/catalog';
import { layerFiles, planLayer } from '@boxship/generate';
import { runProgram } from '@boxship/host';
import { KiB, parseByteSize } from '@boxship/model';
import { publicKeyPem } from '../../libs/generate/src/testing/sample-layer.ts';
import { checkout, type Release } from './checkouts.ts';
import { releaseNames } from './layers-under-test.ts';
import { proof, type Findings } from './results.ts';
import { WIC_OF } from './wic-of-release.ts';

const KICKSTART = join(import.meta.dirname, 'kickstart.py');
const CATALOGUE = join(import.meta.dirname, '../../recipes');
const GENERATOR = join(import.meta.dirname, '../../libs/generate/src');

/** What kickstart.py prints of a partition; sizes in KiB. */
interface KickstartPart {
  readonly mountpoint: string | null;
  readonly source: string | null;
  readonly known: boolean;
  readonly parameters: string;
  readonly fstype: string;
  readonly label: string | null;
  readonly part_name: string | null;
  readonly part_type: string | null;
  readonly system_id: string | null;
  readonly align: number;
  readonly size: number;
  readonly fixed_size: number;
  readonly disk: string;
  readonly no_table: boolean;
  readonly active: boolean;
  readonly use_uuid: boolean;
  readonly use_label: boolean;
  readonly uuid: string | null;
  readonly exclude_path: readonly string[] | null;
  readonly change_directory: string | null;
}

interface Kickstart {
  readonly parts: readonly KickstartPart[];
  readonly table: string;
  readonly append: string | null;
  readonly timeout: number | null;
}

type Layout = 'plain' | 'two slots' | 'store in the build';

for (const release of releaseNames) {
  const wicRelease = WIC_OF[release];
  proof(
    `${release}/all-machines/kickstart`,
    {
      release: wicRelease,
      checkouts: ['openembedded-core', 'bitbake'],
      obstacle: async () => undefined,
      inputs: () => [CATALOGUE, GENERATOR, KICKSTART, import.meta.filename],
    },
    () => readEveryLayout(release, wicRelease),
  );
}

/** Every wks file of every machine of the catalogue in every layout, as wic's own parser reads it. */
async function readEveryLayout(release: (typeof releaseNames)[number], wicRelease: Release): Promise<Findings> {
  const folder = await mkdtemp(join(tmpdir(), 'boxship-kickstart-'));
  try {
    const machines = recipeNames().map((name) => [name, findRecipe(name)!] as const);
    const cases = machines
      .filter(([, recipe]) => recipe.disk && recipe.yocto && supportedReleases(recipe).includes(release))
      .flatMap(([machine, recipe]) =>
        (['plain', 'two slots', 'store in the build'] as const)
          .filter((layout) => layout !== 'two slots' || recipe.disk!.ab.possible)
          .map((layout) => ({ machine, recipe, layout })),
      );
    const files: string[] = [];
    for (const { machine, layout } of cases) files.push(await writeKickstart(folder, release, machine, layout));
    const core = checkout(wicRelease, 'openembedded-core');
    const program = [KICKSTART, core, checkout(wicRelease, 'bitbake'), ...files];
    const { stdout, stderr } = await runProgram('python3', program);
    expect(stderr).toBe('');
    const read = JSON.parse(stdout.toString()) as readonly Kickstart[];
    expect(read).toHaveLength(cases.length);
    for (const [i, { machine, recipe, layout }] of cases.entries()) {
      const { parts, ...rest } = read[i]!;
      const found = { machine, layout, parts: parts.map(wanted), ...rest };
      expect(found).toEqual({ machine, layout, ...expectedKickstart(release, machine, recipe, layout) });
      expect(parts.map(({ known, source }) => ({ known, source }))).toEqual(
        parts.map(({ source }) => ({ known: true, source })),
      );
    }
    return { machines: new Set(cases.map(({ machine }) => machine)).size, files: files.length, wic: wicRelease };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeKickstart(folder: string, release: string, machine: string, layout: Layout): Promise<string> {
  const more = { plain: '', 'two slots': ', ab: true, rootSize: 1GiB', 'store in the build': ', bundle: build' }[
    layout
  ];
  const product = parseProduct(
    'boxship.yaml',
    `apiVersion: boxship/v1
product: acme
version: 1.0.0
machines: { ${machine}: {} }
apps: { web: { compose: ./compose.yaml } }
variants: { pro: { apps: [web] } }
signing: { key: ./release.key }
yocto: { release: ${release}, maintainer: Jane Doe <jane@acme.example>${more} }
`,
  );
  const bundle = { folder: 'any', file: 'acme', store: 'a'.repeat(64), data: 'b'.repeat(64), suffix: '' };
  const files = await layerFiles(planLayer(product), {
    key: { publicKeyPem, development: false },
    bundles: { [`${machine}/pro`]: bundle },
  });
  const made = files.filter(({ path }) => path.endsWith('.wks.in'));
  expect(made).toHaveLength(1);
  const path = join(folder, machine, layout.replaceAll(' ', '-'), made[0]!.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, made[0]!.text);
  return path;
}

/** What matters of a partition to wic; a file system is asked for only where wic makes one. */
function wanted({ known: _known, fstype, ...part }: KickstartPart) {
  return { ...part, fstype: part.source === 'rawcopy' ? '' : fstype };
}

/** As kickstart.py answers them. */
function variables(text: string): string {
  const known: Readonly<Record<string, string>> = { DEPLOY_DIR_IMAGE: '/deploy', DISTRO: 'any', MACHINE: 'some' };
  return text.replaceAll(/\$\{(\w+)\}/g, (all, name: string) => known[name] ?? all);
}

/** The same, from the recipe of the machine: nothing of libs/generate. */
function expectedKickstart(release: string, machine: string, { disk, yocto }: Recipe, layout: Layout): object {
  if (!disk) throw new Error(`${machine} has no disk`);
  const table = disk.tableIn?.[release as keyof typeof disk.tableIn] ?? disk.table;
  // a folder of the root file system may have a partition of its own
  const isRoot = ({ source, folder }: (typeof disk.partitions)[number]) => source === 'rootfs' && folder === undefined;
  const part = (one: (typeof disk.partitions)[number], name: string, mount: string | undefined) => {
    const inTable = one.inTable !== false;
    const slots = isRoot(one) && layout === 'two slots';
    const plugin = release === 'scarthgap' ? one.source : one.source?.replaceAll('-', '_');
    return {
      mountpoint: mount ?? null,
      source: plugin ?? null,
      parameters: variables(one.sourceParameters ?? ''),
      fstype: one.source === 'rawcopy' ? '' : (one.filesystem ?? 'vfat'),
      label: inTable && (one.label ?? true) ? name : null,
      part_name: inTable && table === 'gpt' ? name : null,
      part_type: one.type ?? null,
      system_id: null,
      align: parseByteSize(one.alignment ?? disk.alignment ?? '4KiB') / KiB,
      size: one.size === undefined || slots ? 0 : Math.ceil(parseByteSize(one.size) / KiB),
      fixed_size: slots ? 1024 * 1024 : one.fixedSize === undefined ? 0 : Math.ceil(parseByteSize(one.fixedSize) / KiB),
      disk: disk.device,
      no_table: !inTable,
      active: one.active ?? false,
      use_uuid: one.useUuid ?? false,
      use_label: one.useLabel ?? false,
      uuid: one.uuid ?? null,
      exclude_path: one.exclude ?? null,
      change_directory: one.folder ?? null,
    };
  };
  const parts = disk.partitions.flatMap((one) => {
    if (!isRoot(one) || layout !== 'two slots') return [part(one, one.name, one.mount)];
    const second = { ...part(one, `${one.name}-b`, undefined), use_uuid: false, use_label: false, uuid: null };
    return [part(one, `${one.name}-a`, one.mount), second];
  });
  const ours = (role: string) => ({
    mountpoint: null,
    source: 'rawcopy',
    parameters: `file=acme.${role}.ext4`,
    fstype: '',
    label: null,
    part_name: table === 'gpt' ? `boxship-${role}` : null,
    part_type: table === 'gpt' ? '0FC63DAF-8483-4772-8E79-3D69D8477DE4' : null,
    system_id: table === 'gpt' ? null : '0x83',
    align: 4096,
    size: 0,
    fixed_size: 0,
    disk: disk.device,
    no_table: false,
    active: false,
    use_uuid: false,
    use_label: false,
    uuid: null,
    exclude_path: null,
    change_directory: null,
  });
  expect(yocto!.machine).toBe(machine);
  return {
    parts: layout === 'store in the build' ? [...parts, ours('store'), ours('data')] : parts,
    table: table === 'gpt' ? 'gpt' : 'msdos',
    append: disk.bootloader.append ?? null,
    timeout: disk.bootloader.timeout ?? null,
  };
}
