import { socketFiles, type EngineSocket } from '@boxship/device-socket';
import { partitionIdentities } from '@boxship/disk';
import { engines, type Engine } from '@boxship/engines';
import { pick, plainDeviceFacts, type TreeEntry } from '@boxship/model';
import { bitbakeWords } from '@boxship/yocto';
import { devicePath } from './device-path.ts';
import type { LayerFile, SharedValues } from './layer-files.ts';
import type { LayerPlan, PlannedEngine, PlannedMachine } from './layer-plan.ts';
import { renderLayerFile } from './layer-template.ts';

/** The key that devices verify their store with. */
export interface SocketKey {
  readonly publicKeyPem: string;
  readonly development: boolean;
}

/** Files whose values are those of a machine; they lie in `files/<MACHINE>/`, where bitbake's FILESPATH finds them. */
const MACHINE_FILES = ['usr/lib/boxship/socket.env', 'usr/lib/boxship/socket.json'];
const UNITS = 'usr/lib/systemd/system/';

/**
 * The package with the product's part of the device socket: the files of `socketFiles().ofProduct`, installed where they
 * belong. Errors: UNKNOWN_ENGINE.
 */
export async function socketPackage(
  plan: LayerPlan,
  { name: engineName, engine: asked }: PlannedEngine,
  shared: SharedValues,
  license: LayerFile,
  key: SocketKey,
): Promise<{ readonly files: readonly LayerFile[]; readonly packages: readonly string[] }> {
  const engine = pick<Engine>('engine', engines, engineName);
  const device = { facts: plainDeviceFacts(), engine: asked };
  // of several engines each has one of its own
  const name = plan.engines.length > 1 ? `${shared.name}-${engineName}-socket` : `${shared.name}-socket`;
  const folder = `recipes-core/${name}`;
  const trees = plan.machines.map((machine) => ({
    machine,
    entries: productEntries(plan, machine, engine.socket(device), key),
  }));
  const entries = trees[0]?.entries ?? [];
  const regular = entries
    .filter(({ type }) => type === 'file')
    .map((entry) => ({ entry, source: sourceOf(entry.path) }));
  const target = (path: string) => devicePath(`/${path}`);
  const files = new Map<string, string>();
  for (const { machine, entries: own } of trees) {
    for (const entry of own) {
      if (entry.type !== 'file') continue;
      const place = MACHINE_FILES.includes(entry.path) ? `${machine.machine}/` : '';
      files.set(`${folder}/files/${place}${sourceOf(entry.path)}`, await textOf(entry));
    }
  }
  const folders = entries.filter(({ type }) => type === 'directory');
  return {
    packages: [name],
    files: [
      {
        path: `${folder}/${name}_${plan.packageVersion}.bb`,
        text: renderLayerFile('recipes-core/[name]-socket/[name]-socket_[version].bb', {
          ...shared,
          sources: regular.map(({ source }) => source),
          files: regular.map(({ entry, source }) => ({ source, target: target(entry.path), mode: octal(entry.mode) })),
          folders: folders.map(({ path, mode }) => ({ path: target(path), mode: octal(mode) })),
          // they have the same files
          others: plan.engines
            .filter(({ name: other }) => other !== engineName)
            .map(({ name: other }) => `${shared.name}-${other}-socket`)
            .join(' '),
          packaged: bitbakeWords(
            [
              ...new Set([
                '${nonarch_libdir}/boxship',
                '${systemd_system_unitdir}',
                ...folders.map(({ path }) => target(path)),
              ]),
            ].sort(),
          ),
        }),
      },
      { path: `${folder}/files/LICENSE`, text: license.text },
      ...[...files].map(([path, text]) => ({ path, text })),
    ],
  };
}

function productEntries(
  plan: LayerPlan,
  machine: PlannedMachine,
  engine: EngineSocket,
  key: SocketKey,
): readonly TreeEntry[] {
  const identity = partitionIdentities(plan.product, machine.name);
  const { ofProduct } = socketFiles({
    engines: [engine],
    product: plan.product,
    machine: machine.name,
    storeUuid: identity('store'),
    dataUuid: identity('data'),
    tableType: machine.table,
    ...key,
  });
  return [...ofProduct.entries()];
}

/** One flat name for each file: `docker.service.d/10-boxship.conf` is `docker.service.d-10-boxship.conf`. */
function sourceOf(path: string): string {
  const from = [UNITS, 'usr/lib/boxship/'].find((folder) => path.startsWith(folder)) ?? '';
  return path.slice(from.length).replaceAll('/', '-');
}

async function textOf({ content }: TreeEntry): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of content?.source.open() ?? []) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
