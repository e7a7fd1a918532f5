import type { AppFiles } from './app-folder.ts';
import { readEnvFile } from './env-file.ts';
import type { Lookup } from './interpolation.ts';
import type { Report } from './report.ts';
import { readBoolean, readKnownKeys, readPairs, readText, readTexts, readWord } from './scalar.ts';
import type { Value } from './yaml-value.ts';

/** `env_file` and, winning over it, `environment` of a service. Nothing comes from the build host. */
export function readEnvironment(
  environment: Value | undefined,
  envFile: Value | undefined,
  files: AppFiles,
  lookup: Lookup,
  report: Report,
): Record<string, string> {
  const variables = new Map<string, string>();
  for (const item of !envFile ? [] : envFile.kind === 'list' ? envFile.items : [envFile]) {
    const keys =
      item.kind === 'map' ? readKnownKeys(item, 'env_file', ['path', 'required', 'format'], report) : undefined;
    const path = readText(keys ? keys.get('path')?.value : item, report);
    const required = readBoolean(keys?.get('required')?.value, report) ?? true;
    const raw = readWord(keys?.get('format')?.value, ['raw'], report) === 'raw';
    if (path === undefined) {
      if (keys && !keys.has('path')) report.error('BAD_VALUE', item.where, 'the env_file has no path', 'Add "path:".');
      continue;
    }
    const bytes = files.readHere(path, item.where, 'env_file', required);
    if (!bytes) continue;
    const read = readEnvFile({ file: path, bytes, lookup, raw }, report);
    for (const [key, value] of read) variables.set(key, value);
  }
  for (const [key, { text, where }] of readPairs(environment, report)) {
    if (text === null) {
      report.error('VARIABLE_WITHOUT_VALUE', where, `"${key}" has no value`, `Write ${key}=value or ${key}=\${${key}}; nothing is taken from the build host.`); // prettier-ignore
    } else if (!/^[^=\s]+$/.test(key)) {
      report.error('BAD_NAME', where, `"${key}" is not the name of a variable`, 'Remove spaces and "=" from it.');
    } else variables.set(key, text);
  }
  return Object.fromEntries([...variables].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `label_file` and, winning over it, `labels` of a service. */
export function readServiceLabels(
  labels: Value | undefined,
  labelFile: Value | undefined,
  files: AppFiles,
  report: Report,
): Record<string, string> {
  const found = new Map<string, string>();
  for (const { text: path, where } of readTexts(labelFile, report)) {
    const bytes = files.readHere(path, where, 'label_file');
    if (!bytes) continue;
    for (const [key, value] of readEnvFile({ file: path, bytes, lookup: () => undefined }, report))
      found.set(key, value);
  }
  for (const [key, { text, where }] of readPairs(labels, report)) {
    if (key === '') report.error('BAD_NAME', where, 'the label has no name', 'Write name=value.');
    else found.set(key, text ?? '');
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
