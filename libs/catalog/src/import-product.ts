import { readFileSync } from 'node:fs';
import { basename, dirname, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import { readComposeFile } from '@boxship/compose-spec';
import type { Cache } from '@boxship/host';
import { UserError, type Problem } from '@boxship/model';
import { formatReference, listArchivedImages, parseReference } from '@boxship/oci';
import { readTcbuild } from './import-tcbuild.ts';
import { parseYaml } from './yaml-file.ts';

export interface ImportOptions {
  /** Folder of the product file that will be written: paths in it are relative to it. */
  readonly folder: string;
  /** Name of the product; by default that of the folder. */
  readonly product: string;
  readonly machine: string;
  /** The vendor's image, when the sources do not name it. */
  readonly base?: string;
  readonly platform?: string;
  readonly cache: Cache;
}

export interface ImportedProduct {
  /** boxship.yaml. */
  readonly text: string;
  /** What was not taken over, and what is left to do: each with its place in the source. */
  readonly notes: readonly Problem[];
}

/** What the sources say of a product, before defaults. */
export interface ImportedParts {
  readonly base?: string | { readonly url: string; readonly sha256: string };
  readonly rootfs?: string;
  readonly platform?: string;
  /** Compose files, absolute. */
  readonly compose?: string;
  /** `artifacts` of the product file, when its default is not what the source makes. */
  readonly artifacts?: readonly (string | Readonly<Record<string, object>>)[];
  readonly notes: readonly Problem[];
}

/**
 * A product file made of what a team has already: Compose files (the later ones change the first), one tcbuild.yaml, and
 * archives of `docker save`. Nothing is dropped silently: what has no place in a product file is a note with its line.
 * Errors: IMPORT_UNKNOWN for a file that is none of these, and whatever reading it tells.
 */
export async function importProduct(sources: readonly string[], options: ImportOptions): Promise<ImportedProduct> {
  const { folder } = options;
  const shown = (path: string) => {
    const way = relative(folder, path);
    return way.startsWith('.') ? way : `./${way}`;
  };
  const notes: Problem[] = [];
  const composeFiles: string[] = [];
  const archived = new Map<string, string>();
  let parts: ImportedParts = { notes: [] };
  for (const source of sources) {
    const path = resolve(source);
    if (/\.(tar|tar\.gz|tgz)$/.test(path)) {
      for (const name of await listArchivedImages(path, options.cache)) archived.set(name, `docker-archive:${shown(path)}`); // prettier-ignore
      continue;
    }
    const yaml = parseYaml(path, readText(path));
    const keys = typeof yaml.value === 'object' && yaml.value !== null ? Object.keys(yaml.value) : [];
    if (keys.includes('input') && keys.includes('output')) {
      parts = readTcbuild(yaml, dirname(path));
      notes.push(...parts.notes);
      if (parts.compose !== undefined) composeFiles.push(parts.compose);
    } else if (keys.includes('services') || keys.includes('include')) composeFiles.push(path);
    else {
      throw new UserError('IMPORT_UNKNOWN', `${source} is neither a Compose file nor a tcbuild.yaml`, 'A Compose file has "services:", a tcbuild.yaml "input:" and "output:"; archives of docker save end in .tar or .tar.gz.', { file: source }); // prettier-ignore
    }
  }
  const [first, ...overrides] = composeFiles;
  if (first === undefined) {
    const names = archived.size > 0 ? ` (the archives hold ${[...archived.keys()].sort().join(', ')})` : '';
    throw new UserError('IMPORT_NO_APP', `no source says which services run${names}`, 'Give the Compose file too: images alone do not say how they are run.'); // prettier-ignore
  }
  const name = appName(first);
  const app = readComposeFile({
    path: first,
    overrides: overrides.map((file) => relative(dirname(first), file)),
    productFolder: folder,
    projectName: name,
    onNote: (note) => notes.push(note),
  });
  const images = imagesOf(
    app.services.map(({ image }) => image),
    archived,
    notes,
  );
  const base = parts.base ?? options.base;
  if (base === undefined) {
    notes.push({ code: 'IMPORT_INCOMPLETE', message: 'no source names the image of the vendor', hint: `Write its path under machines.${options.machine}.base.` }); // prettier-ignore
  }
  const files = composeFiles.map(shown);
  const platform = options.platform ?? parts.platform;
  const product = {
    apiVersion: 'boxship/v1',
    product: options.product,
    version: '0.1.0',
    machines: {
      [options.machine]: {
        base: typeof base === 'object' ? base : shown(resolve(folder, base ?? 'vendor.img')),
        ...(platform === undefined ? {} : { platform }),
        ...(parts.rootfs === undefined ? {} : { rootfs: { name: parts.rootfs } }),
      },
    },
    engine: 'docker',
    apps: {
      [name]: {
        compose: files.length === 1 ? files[0] : files,
        ...((app.secrets ?? []).length > 0
          ? { secrets: Object.fromEntries(app.secrets!.map((secret) => [secret.name, { file: secret.name }])) }
          : {}),
      },
    },
    ...(images.size > 0 ? { images: Object.fromEntries([...images].map(([image, from]) => [image, { from }])) } : {}),
    variants: { default: { apps: [name] } },
    ...(parts.artifacts === undefined ? {} : { artifacts: parts.artifacts }),
    signing: { key: './keys/release.key' },
  };
  const text = `# Made by "boxship import" of ${sources.map((source) => basename(source)).join(', ')}. Every key: boxship schema\n${stringify(product, { lineWidth: 0 })}`;
  return { text, notes };
}

/** Images of services that an archive holds; names of archives that no service runs are told. */
function imagesOf(
  wanted: readonly string[],
  archived: ReadonlyMap<string, string>,
  notes: Problem[],
): Map<string, string> {
  // prettier-ignore
  const found = new Map<string, string>();
  for (const [name, from] of [...archived].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const reference = formatReference(parseReference(name));
    if (wanted.includes(reference)) found.set(name, `${from}:${name}`);
    else notes.push({ code: 'IMPORT_LEFT_OUT', message: `no service runs the image ${name} of ${from}`, hint: 'It is not part of the product.' }); // prettier-ignore
  }
  return found;
}

function appName(path: string): string {
  const folder = basename(dirname(path)).toLowerCase().replace(/[^a-z0-9_-]+/g, '-').replace(/^[^a-z0-9]+|[-_]+$/g, ''); // prettier-ignore
  return folder === '' ? 'app' : folder;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'EISDIR', 'EACCES'].includes(code)) throw error;
    throw new UserError('FILE_MISSING', `${path} cannot be read (${code})`, 'Name a file.', { file: path });
  }
}
