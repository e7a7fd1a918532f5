import { UserError, type BytePath, type FileType } from '@boxship/model';
import type { RootfsReader } from './rootfs-reader.ts';

/** What an SELinux base says of its labels. */
export interface SelinuxPolicy {
  /** Policy name: SELINUXTYPE of /etc/selinux/config. */
  readonly name: string;
  readonly mode: 'enforcing' | 'permissive';
}

/**
 * The policy that the device will load: one that /etc/selinux/config asks for and that is there (`policy/policy.N`).
 * Undefined when SELinux is off.
 */
export async function readSelinuxPolicy(fs: RootfsReader): Promise<SelinuxPolicy | undefined> {
  const config = await fs.readText('etc/selinux/config');
  if (config === undefined) return undefined;
  const value = (key: string) => new RegExp(`^\\s*${key}\\s*=\\s*(\\S+)`, 'm').exec(config)?.[1];
  const mode = value('SELINUX')?.toLowerCase();
  const name = value('SELINUXTYPE') ?? 'targeted';
  if (mode !== 'enforcing' && mode !== 'permissive') return undefined;
  if (!/^[\w.-]+$/.test(name)) return undefined;
  const policies = await fs.readDirectory(`etc/selinux/${name}/policy`);
  return policies.some((entry) => entry.name.startsWith('policy.')) ? { name, mode } : undefined;
}

/** The label of a new file; undefined where the policy wants none (`<<none>>`). Errors: SELINUX_NO_LABEL. */
export type LabelFinder = (path: BytePath, type: FileType) => string | undefined;

interface Rule {
  readonly pattern: RegExp;
  readonly type?: FileType;
  /** No regular expression in it: such rules win over all others. */
  readonly exact: boolean;
  readonly label: string;
}

const TYPE_LETTERS: Readonly<Record<string, FileType>> = {
  '--': 'file', '-d': 'directory', '-l': 'symlink', '-c': 'characterDevice', '-b': 'blockDevice', '-p': 'fifo', '-s': 'socket',
}; // prettier-ignore

/**
 * Compiles the file contexts of a policy (selabel_file(5)). As in libselinux: prefixes are first replaced by
 * `file_contexts.subs*`, rules without metacharacters win, and of several that match, the last in the files.
 * Errors: SELINUX_NO_CONTEXTS, SELINUX_BAD_CONTEXTS.
 */
export async function readFileContexts(fs: RootfsReader, policy: SelinuxPolicy): Promise<LabelFinder> {
  const folder = `etc/selinux/${policy.name}/contexts/files`;
  const main = await fs.readText(`${folder}/file_contexts`);
  if (main === undefined) {
    throw new UserError(
      'SELINUX_NO_CONTEXTS',
      `the base image uses the SELinux policy "${policy.name}" but has no /${folder}/file_contexts, so added files cannot be labelled`,
      'Use a base image that already has the device socket, or one with its file_contexts.',
    );
  }
  const more = await Promise.all(['homedirs', 'local'].map((end) => fs.readText(`${folder}/file_contexts.${end}`)));
  const rules = [main, ...more].flatMap((text) => parseFileContexts(text ?? ''));
  const subs = await Promise.all(
    ['file_contexts.subs', 'file_contexts.subs_dist'].map((name) => fs.readText(`${folder}/${name}`)),
  );
  const substitutions = subs.map((text) => parseSubstitutions(text ?? ''));
  return (path, type) => {
    const absolute = substitutions.reduce(substitute, `/${path}`);
    const matches = rules.filter((rule) => (!rule.type || rule.type === type) && rule.pattern.test(absolute));
    const rule = matches.findLast((match) => match.exact) ?? matches.at(-1);
    if (!rule) {
      throw new UserError(
        'SELINUX_NO_LABEL',
        `no rule of the SELinux policy "${policy.name}" gives /${path} a label`,
        'Add a rule to the policy of the base image, or use a base image that already has the device socket.',
      );
    }
    return rule.label === '<<none>>' ? undefined : rule.label;
  };
}

function parseFileContexts(text: string): Rule[] {
  return text.split('\n').flatMap((line): Rule[] => {
    const fields = line.trim().split(/\s+/);
    const [expression, second] = fields;
    if (!expression || expression.startsWith('#')) return [];
    const label = fields.at(-1)!;
    const typed = fields.length === 3;
    const type = typed && Object.hasOwn(TYPE_LETTERS, second!) ? TYPE_LETTERS[second!] : undefined;
    if (fields.length < 2 || fields.length > 3 || (typed && !type)) throw badContexts(line);
    // libselinux, spec_hasMetaChars: a backslash hides the character behind it
    const exact = !/[.^$?*+|[({]/.test(expression.replace(/\\./gs, ''));
    try {
      return [{ pattern: new RegExp(`^(?:${expression})$`, 's'), ...(type ? { type } : {}), exact, label }];
    } catch {
      throw badContexts(line);
    }
  });
}

function badContexts(line: string): UserError {
  return new UserError(
    'SELINUX_BAD_CONTEXTS',
    `a rule of the base image's file_contexts cannot be read: ${line.trim()}`,
  );
}

type Substitution = readonly [from: string, to: string];

function parseSubstitutions(text: string): Substitution[] {
  return text.split('\n').flatMap((line): Substitution[] => {
    const [from, to] = line.trim().split(/\s+/);
    return from?.startsWith('/') && to?.startsWith('/') ? [[from, to]] : [];
  });
}

function substitute(path: string, substitutions: readonly Substitution[]): string {
  const hit = substitutions.find(([from]) => path === from || path.startsWith(`${from}/`));
  if (!hit) return path;
  return (hit[1] === '/' ? '' : hit[1]) + path.slice(hit[0].length) || '/';
}
