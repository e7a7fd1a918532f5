import { createHash } from 'node:crypto';
import { dirname, relative, resolve } from 'node:path';
import type { Progress } from '@boxship/host';
import { readComposeFile } from '@boxship/compose-spec';
import {
  UserError,
  formatProblem,
  type App,
  type Digest,
  type Location,
  type Problem,
  type Service,
} from '@boxship/model';
import { formatReference, parseReference } from '@boxship/oci';
import { readNativeApp } from './native-app/native-app.ts';
import type { ImageOrigin, Product, ProductApp } from './product.ts';

export interface ResolvedApp {
  readonly product: ProductApp;
  readonly app: App;
  /** Over the Compose file, every file that it brings along and how the product file uses it. */
  readonly digest: Digest;
  /** Normalised references in order of their services, each once. */
  readonly images: readonly { readonly reference: string; readonly where?: Location }[];
}

export interface ProductApps extends ReadonlyMap<string, ResolvedApp> {
  /** What the product file says of an image, by normalised reference. */
  readonly origins: ReadonlyMap<string, ImageOrigin>;
}

/** Reads the Compose files of all apps. Errors: everything wrong in all of them, at once. */
export function readApps(product: Product, progress: Progress): ProductApps {
  const problems: Problem[] = [];
  const collect = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const apps = new Map<string, ResolvedApp>();
  for (const one of product.apps) {
    const app = collect(() => readApp(product, one, progress));
    if (!app) continue;
    const images = new Map(
      app.services.map(({ image, where, keyPlaces }) => [
        image,
        { reference: image, where: keyPlaces?.['image'] ?? where },
      ]),
    );
    apps.set(one.name, { product: one, app, digest: digestOf(one, app), images: [...images.values()] });
  }
  const origins = new Map<string, ImageOrigin>();
  for (const origin of product.images) {
    const reference = collect(() => normalize(origin));
    if (reference === undefined) continue;
    const other = origins.get(reference);
    if (other) {
      problems.push({
        code: 'DUPLICATE_IMAGE',
        message: `"${other.reference}" and "${origin.reference}" are both ${reference}`,
        hint: 'Keep one of them.',
        where: origin.where,
      });
    }
    origins.set(reference, origin);
  }
  const used = new Set([
    ...[...apps.values()].flatMap(({ images }) => images.map(({ reference }) => reference)),
    ...[product, ...product.machines, ...product.variants].flatMap(({ engine }) => engine?.images ?? []),
  ]);
  const unused = problems.length > 0 ? [] : [...origins].filter(([reference]) => !used.has(reference));
  for (const [reference, { where }] of unused) {
    problems.push({
      code: 'UNUSED_IMAGE',
      message: `no service of any app runs the image ${reference}`,
      hint: used.size > 0 ? `They run: ${[...used].sort().join(', ')}.` : 'Take it out of "images".',
      where,
    });
  }
  if (problems.length > 0) throw new UserError(problems);
  return Object.assign(apps, { origins });
}

function readApp(product: Product, app: ProductApp, progress: Progress): App {
  if (app.language) return readNativeApp(product.file, app.name, app.language, app.compose, app.where);
  const folder = dirname(product.file);
  const path = resolve(folder, app.compose);
  const sources = Object.entries(app.secrets).map(([key, { source }]) => [key, source] as const);
  const read = readComposeFile({
    path,
    overrides: app.overrides.map((file) => relative(dirname(path), resolve(folder, file))),
    productFolder: folder,
    projectName: app.name,
    environment: app.environment,
    profiles: app.profiles,
    onNote: (note) => progress.note(formatProblem(note)),
    secrets: Object.fromEntries(sources),
    ...(app.envFile === undefined ? {} : { envFile: relative(dirname(path), resolve(folder, app.envFile)) }),
  });
  const known = new Set(read.secrets?.map(({ name }) => name));
  const unknown = Object.entries(app.secrets).filter(([key]) => !known.has(key));
  if (unknown.length > 0) {
    throw new UserError(
      unknown.map(([key, { where }]) => ({
        code: 'UNDEFINED_SECRET',
        message: `no service of the app "${app.name}" reads a secret "${key}"`,
        hint: known.size > 0 ? `They read: ${[...known].sort().join(', ')}.` : 'Take it out of "secrets".',
        where,
      })),
    );
  }
  return read;
}

function normalize({ reference, where }: ImageOrigin): string {
  try {
    return formatReference(parseReference(reference));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.problems.map((problem) => ({ ...problem, where })));
  }
}

function digestOf({ name, environment, profiles, console: onConsole }: ProductApp, app: App): Digest {
  const hash = createHash('sha256');
  const add = (bytes: string | Uint8Array) => hash.update(`${Buffer.byteLength(bytes)}\n`).update(bytes);
  add(
    JSON.stringify({
      name,
      environment,
      profiles,
      onConsole,
      services: app.services.map(withoutPlace),
      secrets: app.secrets,
    }),
  );
  add(app.composeBytes);
  if (app.native) add(app.native.language);
  for (const { path, mode, bytes } of [...app.files, ...(app.native?.files ?? [])]) {
    add(`${path} ${mode.toString(8)}`);
    add(bytes);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Where a service stands in its file says nothing of what it does. */
function withoutPlace({
  where: _where,
  keyPlaces: _places,
  ...service
}: Service): Omit<Service, 'where' | 'keyPlaces'> {
  return service;
}
