import { basename, dirname, join, posix } from 'node:path';
import { UserError, type App, type Problem } from '@boxship/model';
import { checkSchema } from './check-schema.ts';
import { collectAppFiles, openAppFolder, type AppFolder } from './app-folder.ts';
import { readConfigFiles, usedSecrets, type SecretSource } from './config-files.ts';
import { checkClashes, checkCycles } from './dependencies.ts';
import { writeDeviceComposeFile } from './device-compose-file.ts';
import { readEnvFile } from './env-file.ts';
import { reportUnset, type Lookup } from './interpolation.ts';
import { loadModel } from './load-model.ts';
import { collectReport, type CollectedReport, type Report } from './report.ts';
import { readNetworks, readVolumes } from './resources.ts';
import { readKnownKeys, readMap, readText, readTexts } from './scalar.ts';
import { readService } from './service.ts';
import { undeclaredIn } from './undeclared.ts';
import type { MapEntry, Value } from './yaml-value.ts';

export interface ComposeFileInput {
  /** Path of the Compose file, as errors shall name it. */
  readonly path: string;
  /** Further Compose files that change it, in order (`-f` of Docker Compose), relative to its folder. */
  readonly overrides?: readonly string[];
  /** Name of the app: lower-case letters, digits, `-` and `_`. */
  readonly projectName: string;
  /** Bytes of the file; read from `path` when absent. */
  readonly bytes?: Uint8Array;
  /** What stands beside the file; the folder of `path` when absent. */
  readonly folder?: AppFolder;
  /** Folder of the product, a parent of that of `path`: what stands in it may be named with `../`. */
  readonly productFolder?: string;
  /** Variables of the product file; they win over the `.env` file. */
  readonly environment?: Readonly<Record<string, string>>;
  /** In place of `.env`, relative to the folder; must exist when given. */
  readonly envFile?: string;
  /** Where its secrets come from, by key; what is not named is a file on the data partition. */
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  /** Active profiles; `*` is all of them. */
  readonly profiles?: readonly string[];
  /** Where the app's folder will be on the device; default `/run/boxship/store/apps/<name>`. */
  readonly deviceFolder?: string;
  /** What is read differently than one may think: ignored keys, bind mounts made read-only, secrets in an image. */
  readonly onNote?: (note: Problem) => void;
}

const PROJECT_NAME = /^[a-z0-9][a-z0-9_-]*$/;
const TOP_LEVEL = ['version', 'name', 'services', 'networks', 'volumes', 'configs', 'secrets'];
const NO_TOP_LEVEL = {
  models: 'Run the model in a container.',
};

/**
 * The app that a Compose file describes: interpolated, every short form resolved, profiles applied. A pure function of the
 * file, what stands beside it, and the given variables: never of the build host's environment. All mistakes are told at
 * once, as one UserError whose problems have `file:line:column`, a stable code and a hint.
 */
export function readComposeFile(input: ComposeFileInput): App {
  const { path, projectName, onNote } = input;
  if (!PROJECT_NAME.test(projectName)) {
    throw new UserError('BAD_NAME', `"${projectName}" cannot be the name of an app`, 'Use lower-case letters, digits, "-" and "_".'); // prettier-ignore
  }
  const report = collectReport();
  const app = read(input, report);
  const byPlace = (a: Problem, b: Problem) =>
    Number(a.where?.file !== path) - Number(b.where?.file !== path) ||
    (a.where?.line ?? 0) - (b.where?.line ?? 0) ||
    (a.where?.column ?? 0) - (b.where?.column ?? 0);
  if (report.errors.length > 0) throw new UserError(withoutConsequences(report.errors).sort(byPlace));
  if (!app) throw new Error(`nothing was read from ${path}, and no error was told`);
  for (const note of [...report.notes].sort(byPlace)) onNote?.(note);
  return app;
}

/** Without what else is wrong at a place where a variable is not set: the text there is not what the user wrote. */
function withoutConsequences(problems: readonly Problem[]): Problem[] {
  const causes = ['UNSET_VARIABLE', 'REQUIRED_VARIABLE', 'BAD_INTERPOLATION'];
  const places = new Set(
    problems.filter(({ code }) => causes.includes(code)).map(({ where }) => JSON.stringify(where)),
  );
  return problems.filter(({ code, where }) => causes.includes(code) || !places.has(JSON.stringify(where)));
}

function read(input: ComposeFileInput, report: CollectedReport): App | undefined {
  const { path, projectName } = input;
  const folder = input.folder ?? openAppFolder(dirname(path), input.productFolder);
  const deviceFolder = input.deviceFolder ?? `/run/boxship/store/apps/${projectName}`;
  const files = collectAppFiles(folder, deviceFolder, report);
  const lookup = readVariables(input, folder, report);
  const main = basename(path);
  const root = loadModel({
    files: [main, ...(input.overrides ?? []).map((file) => posix.normalize(file))],
    ...(input.bytes ? { bytes: new Map([[main, input.bytes]]) } : {}),
    folder,
    lookup,
    shown: (file) => (file === main ? path : join(dirname(path), file)),
    report,
  });
  if (!root) return undefined;

  const top = readKnownKeys(root, 'a Compose file', TOP_LEVEL, report, NO_TOP_LEVEL);
  const section = (name: string): Value | undefined => {
    const value = top.get(name)?.value;
    if (value) reportUnset(value, report);
    return value;
  };
  const version = top.get('version');
  if (version) report.note('IGNORED', version.where, '"version" is obsolete and ignored', 'Remove it.');
  const name = readText(section('name'), report);
  if (name !== undefined && name !== projectName) {
    report.note('IGNORED', top.get('name')!.where, `the name "${name}" is not used: the app is "${projectName}"`, `Name the app "${name}" in the product file, or remove the key.`); // prettier-ignore
  }

  const { active, inactive } = pickServices(top.get('services')?.value, input.profiles ?? [], report);
  if (active.size === 0 && root.kind === 'map') {
    const hint = inactive.size > 0 ? 'Activate a profile.' : 'Add "services:" and at least one service.';
    report.error('NO_SERVICES', top.get('services')?.where ?? root.where, 'the file has no active service', hint);
  }
  const [networkSection, volumeSection] = [section('networks'), section('volumes')];
  const networks = readNetworks(networkSection, projectName, report);
  const volumes = readVolumes(volumeSection, projectName, report);
  const configs = {
    config: readConfigFiles('config', section('configs'), files, lookup, report),
    secret: readConfigFiles('secret', section('secrets'), files, lookup, report, {
      project: projectName,
      sources: input.secrets ?? {},
    }),
  };

  const containers = new Map<string, string>();
  for (const [key, { value }] of active) {
    const own = value.kind === 'map' ? value.entries.get('container_name')?.value : undefined;
    const container = (own?.kind === 'scalar' && typeof own.value === 'string' ? own.value : undefined) ?? `${projectName}-${key}-1`; // prettier-ignore
    if (own && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(container)) {
      report.error('BAD_NAME', own.where, `"${container}" cannot be the name of a container`, 'Use letters, digits, "_", "." and "-".'); // prettier-ignore
    }
    containers.set(key, container);
  }
  const undeclared = undeclaredIn(top, root.where, report);
  const surroundings = { report, files, lookup, networks, volumes, configs, containers, inactive, undeclared };
  const services = [...active].flatMap(([key, entry]) => readService(key, entry, surroundings) ?? []);
  services.sort((a, b) => (a.service.name < b.service.name ? -1 : 1));
  const models = services.map(({ service }) => service);
  checkCycles(models, report);
  checkSchema(root, new Set(active.keys()), report);
  checkClashes(projectName, models, report);

  const secrets = usedSecrets(configs.secret);
  const used = (keys: readonly string[]) => [...new Set(keys)].sort();
  const networkKeys = used(services.flatMap((service) => service.networkKeys));
  const volumeKeys = used(services.flatMap((service) => service.volumeKeys));
  const app = {
    name: projectName,
    services: models,
    volumes: volumeKeys.map((key) => volumes.get(key)!.value),
    networks: networkKeys.map((key) => networks.get(key)!.value),
    ...(secrets.length > 0 ? { secrets } : {}),
    files: files.list(),
  };
  if (report.errors.length > 0) return undefined;
  const entriesOf = (value: Value | undefined, keys: readonly string[]) =>
    new Map(keys.flatMap((key) => {
      const entry = value?.kind === 'map' ? value.entries.get(key) : undefined;
      return entry ? [[key, entry] as const] : [];
    })); // prettier-ignore
  const composeBytes = writeDeviceComposeFile({
    app,
    services: active,
    networks: entriesOf(networkSection, networkKeys),
    volumes: entriesOf(volumeSection, volumeKeys),
    configs,
    deviceFolder,
  });
  return { ...app, composeFile: 'compose.yaml', composeBytes };
}

/** The product file's variables, then those of `.env`, and the project's own name, which Compose defines too. */
function readVariables(input: ComposeFileInput, folder: AppFolder, report: Report): Lookup {
  const given = new Map(Object.entries(input.environment ?? {}));
  const envFile = posix.normalize(input.envFile ?? '.env');
  const entry = folder.read(envFile);
  let variables = new Map<string, string>();
  const lookup: Lookup = (name) =>
    given.get(name) ?? (name === 'COMPOSE_PROJECT_NAME' ? input.projectName : undefined) ?? variables.get(name);
  if (entry?.kind === 'file') {
    const file = input.envFile ?? posix.join(dirname(input.path), '.env');
    variables = readEnvFile({ file, bytes: entry.bytes, lookup }, report);
  } else if (input.envFile !== undefined) {
    report.error('FILE_MISSING', { file: input.path }, `the env file "${envFile}" does not exist beside ${basename(input.path)}`, 'Create it, or correct the path in the product file.'); // prettier-ignore
  }
  return lookup;
}

/** Services by name; active ones have no profile of their own, or one of those given. */
function pickServices(
  value: Value | undefined,
  profiles: readonly string[],
  report: Report,
): { readonly active: ReadonlyMap<string, MapEntry>; readonly inactive: ReadonlySet<string> } {
  const active = new Map<string, MapEntry>();
  const inactive = new Set<string>();
  for (const [name, entry] of readMap(value, report)) {
    if (name.startsWith('x-')) continue;
    if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
      report.error('BAD_NAME', entry.where, `"${name}" cannot be the name of a service`, 'Use letters, digits, "_", "." and "-".'); // prettier-ignore
      continue;
    }
    if (entry.value.kind !== 'map') {
      report.error('WRONG_TYPE', entry.where, `the service "${name}" is not a map`, 'Write its keys below it, as in "image:".'); // prettier-ignore
      continue;
    }
    const own = entry.value.entries.get('profiles');
    const wanted = own ? readTexts(own.value, report).map(({ text }) => text) : [];
    if (wanted.length === 0 || profiles.includes('*') || wanted.some((profile) => profiles.includes(profile))) {
      reportUnset(entry.value, report);
      active.set(name, entry);
    } else inactive.add(name);
  }
  return { active, inactive };
}
