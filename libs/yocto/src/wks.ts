import { UserError, type Location, type Problem } from '@boxship/model';

// Options as in OpenEmbedded: scripts/lib/wic/ksparser.py, documentation/ref-manual/kickstart.rst.

/** A partition as a wks file asks for it. All sizes in bytes. */
export interface WksPart {
  /** Absent for what is only put onto the disk. */
  readonly mountPoint?: string;
  /** `rootfs`, `rawcopy`, `bootimg-partition`, …; always with hyphens. */
  readonly source?: string;
  readonly sourceParameters: Readonly<Record<string, string>>;
  readonly fstype?: string;
  readonly label?: string;
  readonly active: boolean;
  readonly hidden: boolean;
  /** Multiple at which it starts. */
  readonly align?: number;
  /** Where it starts. */
  readonly offset?: number;
  /** At least. */
  readonly size?: number;
  /** Exactly. */
  readonly fixedSize?: number;
  readonly extraSpace: number;
  readonly overheadFactor: number;
  readonly partName?: string;
  /** GPT type GUID in lower case, or two hex digits. */
  readonly partType?: string;
  readonly uuid?: string;
  /** Of the file system: a UUID, or eight hex digits for FAT. */
  readonly fsUuid?: string;
  /** False: it is not in the partition table. */
  readonly inTable: boolean;
  readonly mkfsOptions?: string;
  readonly where: Location;
}

export interface Wks {
  readonly ptable: 'gpt' | 'mbr';
  /** MBR disk signature or GPT disk GUID. */
  readonly diskId?: string;
  readonly parts: readonly WksPart[];
}

const KiB = 1024;
const MiB = 1024 * KiB;

type Read = 'flag' | 'text';
/** What Boxship understands; those with no key of WksPart change nothing in the image. */
const PART_OPTIONS: Readonly<Record<string, Read>> = {
  'active': 'flag', 'hidden': 'flag', 'no-table': 'flag', 'use-uuid': 'flag', 'use-label': 'flag', 'no-fstab-update': 'flag',
  'source': 'text', 'sourceparams': 'text', 'ondisk': 'text', 'ondrive': 'text', 'fstype': 'text', 'label': 'text', 'align': 'text',
  'offset': 'text', 'size': 'text', 'fixed-size': 'text', 'extra-space': 'text', 'extra-filesystem-space': 'text',
  'overhead-factor': 'text', 'part-name': 'text', 'part-type': 'text', 'uuid': 'text', 'fsuuid': 'text', 'system-id': 'text',
  'mkfs-extraopts': 'text', 'fsoptions': 'text', 'fspassno': 'text',
}; // prettier-ignore
/** What wic knows and Boxship does not do. */
const NOT_DONE = new Set(['exclude-path', 'include-path', 'change-directory', 'rootfs-dir', 'mbr', 'type', 'extra-partition-space', 'diskid']); // prettier-ignore
const BOOTLOADER_OPTIONS: Readonly<Record<string, Read>> = {
  'ptable': 'text', 'diskid': 'text', 'append': 'text', 'timeout': 'text', 'configfile': 'text', 'source': 'text',
}; // prettier-ignore

interface Line {
  readonly text: string;
  readonly where: Location;
}

export interface WksOptions {
  /** Values for `${NAME}`. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Text of a file that is included, and where it lies; undefined when there is none. */
  readonly include?: (name: string) => { readonly file: string; readonly text: string } | undefined;
}

/**
 * Reads a wks file, what it includes as well. Errors, all at once and each with its line: WKS_BAD_LINE, WKS_UNKNOWN_OPTION,
 * WKS_NOT_DONE, WKS_BAD_VALUE, WKS_VARIABLE, WKS_INCLUDE.
 */
export function parseWks(file: string, text: string, options: WksOptions = {}): Wks {
  const problems: Problem[] = [];
  const report = (code: string, where: Location, message: string, hint?: string) =>
    problems.push({ code, message, where, ...(hint ? { hint } : {}) });
  const parts: WksPart[] = [];
  let ptable = 'mbr' as Wks['ptable']; // wic's default: msdos
  let diskId: string | undefined;
  const disks = new Set<string>();

  const read = (lines: readonly Line[], depth: number): void => {
    for (const line of lines) {
      const words = splitWords(expand(line, options.variables ?? {}, report));
      const [command, ...rest] = words;
      if (command === undefined) continue;
      if (command === 'include') {
        const found = depth < 8 ? options.include?.(rest[0] ?? '') : undefined;
        if (found) read(linesOf(found.file, found.text), depth + 1);
        else report('WKS_INCLUDE', line.where, `there is no file "${rest[0] ?? ''}" to include`, 'It is looked for beside the wks file.'); // prettier-ignore
      } else if (command === 'bootloader') {
        const given = optionsOf(rest, BOOTLOADER_OPTIONS, line.where, report);
        const kind = given.get('ptable') ?? 'msdos';
        if (kind === 'gpt' || kind === 'msdos') ptable = kind === 'gpt' ? 'gpt' : 'mbr';
        else
          report(
            'WKS_NOT_DONE',
            line.where,
            `a partition table of the kind "${kind}" is not made`,
            'Known: gpt, msdos.',
          );
        const id = given.get('diskid');
        if (id !== undefined) diskId = id.toLowerCase().replace(/^0x/, '');
      } else if (command === 'part' || command === 'partition') {
        const part = partOf(rest, line.where, report, disks);
        if (part) parts.push(part);
      } else
        report(
          'WKS_BAD_LINE',
          line.where,
          `"${command}" is no command of a wks file`,
          'Known: part, bootloader, include.',
        );
    }
  };
  read(linesOf(file, text), 0);
  if (disks.size > 1) {
    report('WKS_NOT_DONE', { file }, `its partitions are on ${disks.size} disks: ${[...disks].join(', ')}`, 'One image is one disk: give a file for it.'); // prettier-ignore
  }
  if (parts.length === 0 && problems.length === 0) report('WKS_BAD_LINE', { file }, 'the wks file has no partition');
  if (diskId !== undefined && !(ptable === 'gpt' ? UUID : /^[0-9a-f]{8}$/).test(diskId)) {
    report(
      'WKS_BAD_VALUE',
      { file },
      `--diskid ${diskId} is no ${ptable === 'gpt' ? 'GUID' : 'disk signature of eight hex digits'}`,
    );
  }
  if (problems.length > 0) throw new UserError(problems);
  return { ptable, ...(diskId === undefined ? {} : { diskId }), parts };
}

type Report = (code: string, where: Location, message: string, hint?: string) => void;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Lines without comments, those that end with `\` joined. */
function linesOf(file: string, text: string): Line[] {
  const lines: Line[] = [];
  let begun: { text: string; where: Location } | undefined;
  text.split('\n').forEach((raw, index) => {
    const line = begun ?? { text: '', where: { file, line: index + 1, column: 1 } };
    const more = /^(.*)\\\s*$/.exec(raw);
    line.text += more ? `${more[1]} ` : raw;
    begun = more ? line : undefined;
    if (!more && !/^\s*(#|$)/.test(line.text)) lines.push(line);
  });
  return begun ? [...lines, begun] : lines;
}

function expand({ text, where }: Line, variables: Readonly<Record<string, string>>, report: Report): string {
  return text.replace(/\$\{([A-Za-z0-9_:-]+)\}/g, (_whole, name: string) => {
    if (Object.hasOwn(variables, name)) return variables[name]!;
    report(
      'WKS_VARIABLE',
      where,
      `\${${name}} has no value`,
      'bitbake would know it; here: base: { variables: { NAME: value } }.',
    );
    return '1'; // so that the option is not told as well
  });
}

/** Words as a shell splits them, with quotes; `#` begins a comment. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const [, token, comment] of text.matchAll(/((?:"[^"]*"|'[^']*'|[^\s"'#])+)|(#.*$)/g)) {
    if (comment !== undefined) break;
    words.push(token!.replace(/["']/g, ''));
  }
  return words;
}

function optionsOf(words: readonly string[], known: Readonly<Record<string, Read>>, where: Location, report: Report) {
  const found = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) {
      if (found.has('') || word.startsWith('-')) report('WKS_BAD_LINE', where, `"${word}" is no option`);
      else found.set('', word);
    } else if (!Object.hasOwn(known, name)) {
      if (NOT_DONE.has(name))
        report('WKS_NOT_DONE', where, `--${name} is not done here`, 'Take it out, or let wic make the image.');
      else report('WKS_UNKNOWN_OPTION', where, `--${name} is no option of wic`);
      if (value === undefined && words[index + 1]?.startsWith('--') === false) index++;
    } else if (known[name] === 'flag') found.set(name, '');
    else {
      const given = value ?? words[++index];
      if (given === undefined) report('WKS_BAD_VALUE', where, `--${name} has no value`);
      else found.set(name, given);
    }
  }
  return found;
}

function partOf(words: readonly string[], where: Location, report: Report, disks: Set<string>): WksPart | undefined {
  const given = optionsOf(words, PART_OPTIONS, where, report);
  const text = (name: string) => given.get(name);
  const number = (name: string, unit: number): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const [, digits, suffix = ''] = /^(\d+)([sSkKMG]?)$/.exec(value) ?? [];
    const bytes = { '': unit, s: 512, k: KiB, m: MiB, g: KiB * MiB }[suffix.toLowerCase()];
    if (digits !== undefined && bytes !== undefined) return Number(digits) * bytes;
    report('WKS_BAD_VALUE', where, `--${name} ${value} is no size`, 'Write a whole number and k, M or G.');
    return undefined;
  };
  const mountPoint = text('');
  const disk = text('ondisk') ?? text('ondrive');
  if (disk !== undefined) disks.add(disk);
  const uuid = (name: string, pattern: RegExp): string | undefined => {
    const value = text(name)?.toLowerCase().replace(/^0x/, '');
    if (value !== undefined && !pattern.test(value)) report('WKS_BAD_VALUE', where, `--${name} ${value} is no such number`, 'Write a UUID, or eight hex digits for FAT.'); // prettier-ignore
    return value;
  };
  const type = (text('part-type') ?? text('system-id'))?.toLowerCase().replace(/^0x/, '');
  if (type !== undefined && !UUID.test(type) && !/^[0-9a-f]{1,2}$/.test(type)) {
    report('WKS_BAD_VALUE', where, `--part-type ${type} is neither a GUID nor a byte in hex`);
  }
  const overhead = text('overhead-factor');
  const overheadFactor = overhead === undefined ? 1.3 : Number(overhead);
  if (!(overheadFactor >= 1)) report('WKS_BAD_VALUE', where, `--overhead-factor ${overhead} is below 1`);
  if (given.has('size') && given.has('fixed-size')) {
    report('WKS_BAD_VALUE', where, '--size and --fixed-size exclude each other');
  }
  const numbers = {
    align: number('align', KiB),
    offset: number('offset', KiB),
    size: number('size', MiB),
    fixedSize: number('fixed-size', MiB),
    extra: number('extra-space', MiB) ?? number('extra-filesystem-space', MiB),
  };
  if (numbers.align === 0) report('WKS_BAD_VALUE', where, '--align 0 is no multiple');
  const sourceParameters = Object.fromEntries(
    (text('sourceparams') ?? '').split(',').flatMap((pair) => {
      const [key, ...value] = pair.split('=');
      return key ? [[key.trim(), value.join('=')]] : [];
    }),
  ); // prettier-ignore
  const fields = {
    mountPoint: mountPoint === 'none' ? undefined : mountPoint,
    source: text('source')?.replaceAll('_', '-'),
    fstype: text('fstype'),
    label: text('label'),
    align: numbers.align,
    offset: numbers.offset,
    size: numbers.size,
    fixedSize: numbers.fixedSize,
    partName: text('part-name'),
    partType: type?.padStart(2, '0'),
    uuid: uuid('uuid', UUID),
    fsUuid: uuid('fsuuid', /^([0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/),
    mkfsOptions: text('mkfs-extraopts'),
  };
  const present = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return {
    ...(present as { readonly [K in keyof typeof fields]?: NonNullable<(typeof fields)[K]> }),
    sourceParameters,
    active: given.has('active'),
    hidden: given.has('hidden'),
    inTable: !given.has('no-table'),
    extraSpace: numbers.extra ?? 10 * MiB,
    overheadFactor,
    where,
  };
}
