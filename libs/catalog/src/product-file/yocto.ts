import { parseByteSize, UserError, type Location, type Problem } from '@boxship/model';
import { bitbakeString, isReservedName, isYoctoName, yoctoReleases } from '@boxship/yocto';
import { nearest } from '../schema-problems.ts';
import type { YamlFile } from '../yaml-file.ts';

/** A layer as the product file changes or adds it. */
export interface LayerOverride {
  readonly repository?: string;
  readonly branch?: string;
  readonly path?: string;
  readonly commit?: string;
  readonly where: Location;
}

/** `yocto:` of boxship.yaml, checked, defaults filled in. */
export interface YoctoSection {
  /** Codename of a release that is known. */
  readonly release: string;
  /** Override, and beginning of every recipe's name; the layer is `meta-<name>`. */
  readonly name: string;
  readonly distro: string;
  /** `Jane Doe <jane@acme.example>` */
  readonly maintainer: string;
  readonly homepage: string;
  readonly bugtracker: string;
  /** One line without a full stop. */
  readonly summary: string;
  /** Who puts the containers into the image. */
  readonly bundle: 'compose' | 'build';
  readonly ab: boolean;
  /** Bytes of each root file system; absent: as large as needed. */
  readonly rootSize?: number;
  readonly packages: readonly string[];
  /** By collection. */
  readonly layers: Readonly<Record<string, LayerOverride>>;
  readonly where: Location;
}

/** The same, as it is written. */
export interface YoctoYaml {
  release: string;
  name?: string;
  distro?: string;
  maintainer: string;
  homepage?: string;
  bugtracker?: string;
  summary?: string;
  bundle?: 'compose' | 'build';
  ab?: boolean;
  rootSize?: string;
  packages?: string[];
  layers?: Record<string, { repository?: string; branch?: string; path?: string; commit?: string }>;
}

/** Problems: UNKNOWN_RELEASE, BAD_LAYER_NAME, BAD_BITBAKE_TEXT, BAD_SIZE, AB_WITHOUT_SIZE. */
export function yoctoSectionOf(yaml: YamlFile, product: string, raw: YoctoYaml, problems: Problem[]): YoctoSection {
  const at = (...path: string[]) => yaml.locate(['yocto', ...path]);
  const known = Object.keys(yoctoReleases);
  if (!known.includes(raw.release)) {
    const near = nearest(raw.release, known);
    problems.push({
      code: 'UNKNOWN_RELEASE',
      message: `there is no release "${raw.release}"`,
      hint: near ? `Did you mean "${near}"?` : `Known: ${known.join(', ')}.`,
      where: at('release'),
    });
  }
  const name = raw.name ?? product;
  if (!isYoctoName(name)) {
    const rule = 'lower-case letters, digits and single hyphens, a letter first, at most 40 characters';
    problems.push({
      code: 'BAD_LAYER_NAME',
      message: isReservedName(name)
        ? `"${name}" cannot name the layer: OpenEmbedded has an override or a collection of that name`
        : `"${name}" cannot name the layer: an override and a package are made of ${rule}`,
      hint: `Give the layer a name of its own: yocto: { name: ${suggestedName(name)} }.`,
      where: raw.name === undefined ? yaml.locate(['product']) : at('name'),
    });
  }
  for (const key of ['maintainer', 'summary'] as const) {
    collect(problems, at(key), () => raw[key] !== undefined && bitbakeString(raw[key], `yocto.${key}`));
  }
  const rootSize = collect(problems, at('rootSize'), () => raw.rootSize && parseByteSize(raw.rootSize));
  if (raw.ab && raw.rootSize === undefined) {
    problems.push({
      code: 'AB_WITHOUT_SIZE',
      message: 'yocto.ab asks for two root file systems and yocto.rootSize does not say how large',
      hint: 'An update must fit the slot that a device has: rootSize: 1GiB.',
      where: at('ab'),
    });
  }
  const homepage = raw.homepage ?? `https://${/@([^>]*)>/.exec(raw.maintainer)?.[1] ?? ''}`;
  return {
    release: raw.release,
    name,
    distro: raw.distro ?? 'poky',
    maintainer: raw.maintainer,
    homepage,
    bugtracker: raw.bugtracker ?? homepage,
    summary: (raw.summary ?? `${product}, a device with containers`).replace(/\.$/, ''),
    bundle: raw.bundle ?? 'compose',
    ab: raw.ab ?? false,
    ...(rootSize ? { rootSize } : {}),
    packages: [...(raw.packages ?? [])].sort(),
    layers: Object.fromEntries(
      Object.entries(raw.layers ?? {}).map(([collection, layer]) => [
        collection,
        { ...layer, where: yaml.locate(['yocto', 'layers', collection], true) },
      ]),
    ),
    where: yaml.locate(['yocto'], true),
  };
}

function collect<T>(problems: Problem[], where: Location, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems.map((problem) => ({ ...problem, where })));
    return undefined;
  }
}

function suggestedName(name: string): string {
  const tidy = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 40);
  return isYoctoName(tidy) ? tidy : `${tidy || 'my'}-device`;
}
