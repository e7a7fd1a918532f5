import { resolve } from 'node:path';
import { UserError, type Problem } from '@boxship/model';
import type { ImportedParts } from './import-product.ts';
import type { YamlFile } from './yaml-file.ts';

type Path = readonly (string | number)[];

/** Where the customization of an image belongs, in place of changing it afterwards. */
const BELONGS: Readonly<Record<string, string>> = {
  'customization.splash-screen': 'Set it in the Yocto build of the base image.',
  'customization.filesystem': 'Put the files into an app, or into the Yocto build of the base image.',
  'customization.device-tree': 'Set it in the Yocto build of the base image.',
  'customization.kernel': 'Set it in the Yocto build of the base image.',
  'output.easy-installer.bundle.username': 'Log in with docker login or podman login; boxship lock reads their files.',
  'output.easy-installer.bundle.password': 'Take it out of the file: boxship lock reads what docker login has stored.',
  'output.easy-installer.bundle.registry': 'Name the registry in the image: registry.example.com/acme/app:1.',
  'output.easy-installer.bundle.ca-certificate': 'Give it to boxship lock: --ca FILE.',
  'output.easy-installer.bundle.keep-double-dollar-sign': 'Remove it: the Compose file is read as Compose does.',
};
const NOT_A_PART = 'It says nothing of the apps, and is not taken over.';

/**
 * What a tcbuild.yaml of TorizonCore Builder says of base image and apps (Toradex, "Torizon Core Builder - Build
 * Configuration File"): `input`, and `bundle` of `output`. All else is a note. Errors: BAD_TCBUILD.
 */
export function readTcbuild(yaml: YamlFile, folder: string): ImportedParts {
  const notes: Problem[] = [];
  const used = new Set<string>();
  const at = (path: Path): unknown => path.reduce<unknown>((value, key) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[String(key)] : undefined), yaml.value); // prettier-ignore
  const text = (path: Path): string | undefined => {
    const value = at(path);
    if (value === undefined) return undefined;
    used.add(path.join('.'));
    if (typeof value !== 'string') throw new UserError('BAD_TCBUILD', `${path.join('.')} is not a text`, 'Put it in quotes.', yaml.locate(path)); // prettier-ignore
    if (/\$\{/.test(value)) throw new UserError('BAD_TCBUILD', `${path.join('.')} holds a variable: ${value}`, 'Write the value out before the import.', yaml.locate(path)); // prettier-ignore
    return value;
  };

  const installer: Path = ['input', 'easy-installer'];
  const local = text([...installer, 'local']) ?? text(['input', 'raw-image', 'local']);
  const remote = text([...installer, 'remote']);
  const rootfs = text(['input', 'raw-image', 'rootfs-label']);
  let base: ImportedParts['base'];
  if (local !== undefined) base = resolve(folder, local);
  else if (remote !== undefined) {
    // "https://…/image.tar;sha256sum=…"
    const [, url, sha256] = /^(https?:\/\/[^;]+)(?:;sha256sum=([0-9a-f]{64}))?$/.exec(remote) ?? [];
    if (url === undefined || sha256 === undefined) {
      throw new UserError('BAD_TCBUILD', `${remote} has no sha256sum`, 'Write URL;sha256sum=DIGEST: what is downloaded must be known.', yaml.locate([...installer, 'remote'])); // prettier-ignore
    }
    base = { url, sha256 };
  } else if (at([...installer, 'toradex-feed']) !== undefined) {
    used.add('input.easy-installer.toradex-feed');
    notes.push({ code: 'IMPORT_INCOMPLETE', message: 'the base image is named by a feed', hint: 'Download it, and write its path under "base" of the machine.', where: yaml.locate([...installer, 'toradex-feed'], true) }); // prettier-ignore
  }
  const output = at(['output', 'raw-image']) === undefined ? 'easy-installer' : 'raw-image';
  const bundle: Path = ['output', output, 'bundle'];
  const compose = text([...bundle, 'compose-file']);
  const platform = text([...bundle, 'platform']) ?? 'linux/arm64';
  if (compose === undefined) {
    throw new UserError('BAD_TCBUILD', 'it bundles no containers: output has no bundle with a compose-file', 'Give the Compose file too.', yaml.locate(bundle)); // prettier-ignore
  }
  const artifacts =
    output === 'easy-installer' ? [installerArtifact((key) => at(['output', output, key]), used)] : undefined;
  noteRest(yaml, used, notes);
  return {
    ...(base === undefined ? {} : { base }),
    ...(rootfs === undefined ? {} : { rootfs }),
    platform,
    compose: resolve(folder, compose),
    ...(artifacts === undefined ? {} : { artifacts }),
    notes,
  };
}

/** An image for the installer, as TorizonCore Builder makes one of such an input: with its name, and whether it starts by itself. */
function installerArtifact(valueOf: (key: string) => unknown, used: Set<string>): string | { readonly tezi: object } {
  const fields: Record<string, unknown> = {};
  for (const [key, type] of [
    ['name', 'string'],
    ['description', 'string'],
    ['autoinstall', 'boolean'],
  ] as const) {
    const value = valueOf(key);
    if (typeof value !== type || /\$\{/.test(String(value))) continue; // a variable is left out, and told
    used.add(`output.easy-installer.${key}`);
    fields[key] = value;
  }
  return Object.keys(fields).length === 0 ? 'tezi' : { tezi: fields };
}

/** Every key that was not used, once: the topmost that nothing below it was used of. */
function noteRest(yaml: YamlFile, used: ReadonlySet<string>, notes: Problem[]): void {
  const visit = (value: unknown, path: readonly string[]): void => {
    const name = path.join('.');
    if (used.has(name)) return;
    const hint = Object.hasOwn(BELONGS, name) ? BELONGS[name]! : undefined;
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    const isParent = isMap && (path.length < 2 || [...used, ...Object.keys(BELONGS)].some((key) => key.startsWith(`${name}.`))); // prettier-ignore
    if (isParent && hint === undefined) {
      for (const [key, below] of Object.entries(value as object)) visit(below, [...path, key]);
    } else {
      notes.push({ code: 'IMPORT_LEFT_OUT', message: `${name} is not taken over`, hint: hint ?? NOT_A_PART, where: yaml.locate(path, true) }); // prettier-ignore
    }
  };
  visit(yaml.value, []);
}
