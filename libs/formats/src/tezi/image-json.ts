import type { ErrorObject } from 'ajv';
import { UserError, type Location, type Problem } from '@boxship/model';
import validate from './image-schema.json?validator';
import { parseJsonText, type JsonText } from './json-text.ts';

// Field names are those of Toradex's documentation, "Toradex Easy Installer Configuration Files".

/** MiB where the installer says "size"; numbers may be written as strings. */
type Numeric = number | string;

export interface TeziRawFile {
  readonly filename: string;
  readonly dd_options?: string;
  readonly size?: Numeric;
  /** config_format 5. */
  readonly offset?: Numeric;
}

export interface TeziContent {
  readonly label?: string;
  readonly filesystem_type?: string;
  readonly mkfs_options?: string;
  /** Archive that is unpacked into the file system. */
  readonly filename?: string;
  /** MiB, of the unpacked archive and what `filelist` adds. */
  readonly uncompressed_size?: Numeric;
  /** `source:/absolute/folder[:unpack]`, config_format 3. */
  readonly filelist?: readonly string[];
  readonly rawfile?: TeziRawFile;
  readonly rawfiles?: readonly TeziRawFile[];
}

export interface TeziPartition {
  /** MiB. */
  readonly partition_size_nominal: Numeric;
  /** Takes what is left of the device, in equal parts with others of its kind. */
  readonly want_maximised?: boolean;
  /** Two hex digits of an MBR. */
  readonly partition_type?: string;
  readonly content?: TeziContent;
}

export interface TeziBlockDevice {
  readonly name: string;
  readonly table_type?: string;
  readonly partitions?: readonly TeziPartition[];
  readonly content?: TeziContent;
}

export interface TeziUbiVolume {
  readonly name: string;
  readonly content?: TeziContent;
}

export interface TeziMtdDevice {
  readonly name: string;
  readonly content?: TeziContent;
  readonly ubivolumes?: readonly TeziUbiVolume[];
}

/** image.json, checked. Fields that are not named here are in the value, too: it is the parsed file. */
export interface TeziImageJson {
  readonly config_format: number | string;
  readonly name: string;
  readonly supported_product_ids: readonly string[];
  readonly autoinstall?: boolean;
  readonly blockdevs?: readonly TeziBlockDevice[];
  readonly mtddevs?: readonly TeziMtdDevice[];
}

type Path = readonly (string | number)[];

/** A file that image.json names, and where. */
export interface NamedFile {
  readonly name: string;
  readonly path: Path;
}

/** A content of image.json, and where it stands. */
export interface PlacedContent {
  readonly content: TeziContent;
  readonly path: Path;
}

export interface CheckedImageJson {
  readonly json: TeziImageJson;
  readonly configFormat: number;
  /** Every file that the installer will look for. */
  readonly namedFiles: readonly NamedFile[];
  readonly warnings: readonly Problem[];
  locate(path: Path): Location;
}

/** Fields of the root that name a file. */
const FILE_FIELDS = [
  'u_boot_env', 'prepare_script', 'wrapup_script', 'error_script', 'marketing', 'icon', 'license', 'releasenotes',
] as const; // prettier-ignore

/** The config_format that a `filelist` and that an `offset` need. */
export const FILELIST_FORMAT = 3;
const OFFSET_FORMAT = 5;

/**
 * Reads image.json. Errors, all at once and each with `file:line:col`: BAD_JSON, DUPLICATE_KEY, TEZI_BAD_FIELD,
 * TEZI_CONFIG_FORMAT, TEZI_CONTRADICTION, TEZI_UNSAFE_NAME.
 */
export function parseImageJson(file: string, text: string): CheckedImageJson {
  const source = parseJsonText(file, text);
  if (!validate(source.value)) throw new UserError(schemaProblems(source, validate.errors ?? []));
  const json = source.value as TeziImageJson;
  const problems: Problem[] = [];
  const report = (code: string, path: Path, message: string, hint?: string) =>
    problems.push({ code, message, where: source.locate(path), ...(hint ? { hint } : {}) });

  const configFormat = Number(json.config_format);
  if (!Number.isInteger(configFormat) || configFormat < 1 || configFormat > 5) {
    const hint = 'Known are 1 to 5; a newer one may hold what Boxship would lose.';
    report('TEZI_CONFIG_FORMAT', ['config_format'], `config_format is ${JSON.stringify(json.config_format)}`, hint);
  }
  if (!json.blockdevs === !json.mtddevs) {
    const both = json.blockdevs ? 'both "blockdevs" and "mtddevs"' : 'neither "blockdevs" nor "mtddevs"';
    report('TEZI_CONTRADICTION', [], `the image has ${both}`, 'A module has eMMC (blockdevs) or NAND (mtddevs).');
  }
  json.blockdevs?.forEach(({ partitions, content }, i) => {
    if (!partitions === !content) {
      const what = content ? 'both "partitions" and "content"' : 'neither "partitions" nor "content"';
      report('TEZI_CONTRADICTION', ['blockdevs', i], `the device "${json.blockdevs![i]!.name}" has ${what}`);
    }
  });
  const files: NamedFile[] = [];
  const warnings: Problem[] = [];
  for (const field of FILE_FIELDS) {
    const name = (json as unknown as Record<string, unknown>)[field];
    if (typeof name === 'string' && name !== '') files.push({ name, path: [field] });
  }
  for (const { content, path } of contentsOf(json)) {
    if (content.rawfile && content.rawfiles) {
      report('TEZI_CONTRADICTION', path, 'the content has both "rawfile" and "rawfiles"');
    }
    if (content.filename) files.push({ name: content.filename, path: [...path, 'filename'] });
    content.filelist?.forEach((entry, i) => {
      const at = [...path, 'filelist', i];
      const [name = '', target = '', ...rest] = entry.split(':');
      if (name === '' || !target.startsWith('/') || rest.length > 1) {
        const hint = 'Write source:/absolute/folder, or source:/absolute/folder:true to unpack it.';
        report('TEZI_BAD_FIELD', at, `"${entry}" is no entry of a filelist`, hint);
      } else files.push({ name, path: at });
    });
    const raws = content.rawfiles?.map((raw, i) => ({ raw, at: [...path, 'rawfiles', i] })) ?? [];
    if (content.rawfile) raws.push({ raw: content.rawfile, at: [...path, 'rawfile'] });
    for (const { raw, at } of raws) {
      files.push({ name: raw.filename, path: [...at, 'filename'] });
      if (raw.offset !== undefined) tooNew(OFFSET_FORMAT, [...at, 'offset'], 'an offset');
    }
    if (content.filelist) tooNew(FILELIST_FORMAT, [...path, 'filelist'], 'a filelist');
  }
  for (const { name, path } of files) {
    if (isSafeName(name)) continue;
    const hint = 'Names are those of files beside image.json.';
    report('TEZI_UNSAFE_NAME', path, `${JSON.stringify(name)} leads out of the image's folder`, hint);
  }
  if (problems.length > 0) throw new UserError(problems);
  return { json, configFormat, namedFiles: files, warnings, locate: source.locate };

  function tooNew(needed: number, path: Path, what: string): void {
    if (configFormat >= needed) return;
    const message = `config_format is ${configFormat}, ${what} needs ${needed}: an installer may overlook it`;
    warnings.push({ code: 'TEZI_CONFIG_FORMAT', message, where: source.locate(path) });
  }
}

/** Every content of the image, in the order of the file. */
export function contentsOf({ blockdevs = [], mtddevs = [] }: TeziImageJson): readonly PlacedContent[] {
  const found: { content: TeziContent | undefined; path: Path }[] = [];
  blockdevs.forEach(({ content, partitions = [] }, i) => {
    found.push({ content, path: ['blockdevs', i, 'content'] });
    partitions.forEach((partition, j) =>
      found.push({ content: partition.content, path: ['blockdevs', i, 'partitions', j, 'content'] }),
    );
  });
  mtddevs.forEach(({ content, ubivolumes = [] }, i) => {
    found.push({ content, path: ['mtddevs', i, 'content'] });
    ubivolumes.forEach((volume, j) =>
      found.push({ content: volume.content, path: ['mtddevs', i, 'ubivolumes', j, 'content'] }),
    );
  });
  return found.flatMap(({ content, path }) => (content ? [{ content, path }] : []));
}

/** A name below the folder, as the installer, the shell and tar take it. */
export function isSafeName(name: string): boolean {
  // eslint-disable-next-line no-control-regex
  if (name === '' || /[\0-\x1f\\]/.test(name)) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function schemaProblems(source: JsonText, errors: readonly ErrorObject[]): Problem[] {
  return errors.map((error): Problem => {
    const { instancePath, keyword, params, data } = error;
    const path = instancePath.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')); // prettier-ignore
    const named = path.length === 0 ? 'the image' : `"${path.filter((part) => !/^\d+$/.test(part)).at(-1)}"`;
    const shown = JSON.stringify(data)?.slice(0, 60) ?? 'nothing';
    const expected: Record<string, string> = {
      required: `${named} lacks "${String(params['missingProperty'])}"`,
      type: `${named} is ${shown}, it must be of the type ${[params['type']].flat().join(' or ')}`,
      pattern: `${named} has ${shown}: ${path.includes('supported_product_ids') ? 'a product id has four digits' : 'that is no number'}`,
      minItems: `${named} is empty`,
      minLength: `${named} is empty`,
      minimum: `${named} is ${shown}, less than 0`,
    };
    return { code: 'TEZI_BAD_FIELD', message: expected[keyword] ?? `${named} ${error.message ?? 'is wrong'}`, where: source.locate(path) };
  }); // prettier-ignore
}
