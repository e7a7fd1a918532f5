import { tomlText } from '../toml-text.ts';
import { GRAPH_ROOT } from './socket.ts';

/** The file that podman reads when there is none in /etc: containers-storage.conf(5), "FILES". */
export const DEFAULT_FILE = '/usr/share/containers/storage.conf';
/** The driver that our stores are made for. */
const DRIVER = 'driver = "overlay"';

/** For a device that has no storage.conf. */
const OURS = `# containers-storage.conf(5)
[storage]
${DRIVER}
runroot = "/run/containers/storage"
graphroot = ${tomlText(GRAPH_ROOT)}
`;

/**
 * A storage.conf (TOML) with one more additional image store, which is looked into first, and with the overlay driver where it
 * names none; the rest stays as it is. Undefined where its tables are not written as `[storage]` and `[storage.options]`.
 */
export function withAdditionalStore(text: string | undefined, store: string): string | undefined {
  const lines = (text ?? OURS).replace(/\n*$/, '').split('\n');
  if (lines.some((line) => /^\s*(storage|options)\s*[.=]/.test(line))) return undefined;
  const storage = tableAt(lines, 'storage');
  if (!storage) lines.push('', '[storage]', DRIVER);
  else if (keyAt(lines, storage, 'driver') === undefined) lines.splice(storage.from, 0, DRIVER);

  const options = tableAt(lines, 'storage.options');
  const key = options && keyAt(lines, options, 'additionalimagestores');
  const whole = `additionalimagestores = [${tomlText(store)}]`;
  if (!options) lines.push('', '[storage.options]', whole);
  else if (key === undefined) lines.splice(options.from, 0, whole);
  else if (!/=\s*\[/.test(lines[key]!)) return undefined;
  // the list may go on in the lines that follow; TOML takes a comma before its end
  else lines[key] = lines[key]!.replace(/=\s*\[\s*/, () => `= [${tomlText(store)}, `).trimEnd();
  return `${lines.join('\n')}\n`;
}

/** The lines of a table, without its header. */
interface Table {
  readonly from: number;
  readonly to: number;
}

function tableAt(lines: readonly string[], name: string): Table | undefined {
  const headers = lines.map((line) => /^\s*\[{1,2}\s*([^\]"'=]*?)\s*\]{1,2}\s*(#.*)?$/.exec(line)?.[1]);
  const header = headers.indexOf(name);
  if (header < 0) return undefined;
  const next = headers.findIndex((found, at) => at > header && found !== undefined);
  return { from: header + 1, to: next < 0 ? lines.length : next };
}

function keyAt(lines: readonly string[], { from, to }: Table, key: string): number | undefined {
  const at = lines.slice(from, to).findIndex((line) => line.trimStart().split(/[\s=]/, 1)[0] === key);
  return at < 0 ? undefined : from + at;
}
