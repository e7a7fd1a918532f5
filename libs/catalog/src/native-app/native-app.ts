import { basename, dirname, relative, resolve } from 'node:path';
import { openAppFolder, type AppFolder } from '@boxship/compose-spec';
import {
  UserError,
  type App,
  type AppFile,
  type AppLanguage,
  type Location,
  type Problem,
  type Service,
} from '@boxship/model';
import { formatReference, parseReference } from '@boxship/oci';
import { readKubernetesFile } from './kubernetes-file.ts';
import { readQuadletFolder } from './quadlet-folder.ts';

/** What an app in an engine's own language says, as far as it matters before it runs. */
export interface NativeParts {
  readonly files: readonly AppFile[];
  readonly services: readonly Service[];
}

/** What reads such an app: places of errors are relative to the folder of the product file, as for Compose files. */
export interface NativeReader {
  readonly folder: AppFolder;
  /** The path of a file of the folder, for errors. */
  shown(path: string): string;
  report(problem: Problem): void;
  /** The normalised reference of a container's image; what is not a whole name is reported. */
  image(written: string, where: Location): string;
}

/**
 * An app that is written in an engine's own language, as it is: `path`, relative to the product file, is a folder of Quadlet
 * files or a Kubernetes YAML file. Errors: everything in it that cannot work on the device, each at its place.
 */
export function readNativeApp(productFile: string, name: string, language: AppLanguage, path: string, where: Location): App {
  const productFolder = dirname(productFile);
  const full = resolve(productFolder, path);
  const root = language === 'quadlet' ? full : dirname(full);
  const problems: Problem[] = [];
  const reader: NativeReader = {
    folder: openAppFolder(root, productFolder),
    shown: (file) => relative(process.cwd(), resolve(root, file)) || file,
    report: (problem) => void problems.push(problem),
    image: (written, place) => {
      try {
        const reference = formatReference(parseReference(written));
        if (reference !== written) {
          problems.push({ code: 'SHORT_IMAGE_NAME', message: `the image "${written}" is ${reference} to one engine and something else to another`, hint: `Write ${reference}.`, where: place });
        }
        return reference;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        problems.push(...error.problems.map((problem) => ({ ...problem, where: place })));
        return written;
      }
    },
  };
  const parts = language === 'quadlet' ? readQuadletFolder(reader, where) : readKubernetesFile(reader, basename(full), where);
  if (parts.services.length === 0 && problems.length === 0) {
    problems.push({ code: 'NO_CONTAINER', message: `${path} names no container`, hint: 'An app runs at least one.', where });
  }
  if (problems.length > 0) throw new UserError(problems);
  return {
    name,
    composeFile: path,
    composeBytes: new Uint8Array(),
    native: { language, where, files: parts.files },
    services: parts.services,
    volumes: [],
    networks: [],
    files: [],
  };
} // prettier-ignore

/** A container as checks of ports, names and images see it. */
export function containerOf(rest: Pick<Service, 'name' | 'where' | 'image' | 'ports'> & Partial<Service>): Service {
  return { environment: {}, mounts: [], networks: [], dependsOn: [], restart: 'no', labels: {}, settings: {}, ...rest };
}
