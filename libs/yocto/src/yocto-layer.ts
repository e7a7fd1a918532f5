/** A layer of somebody else: where it is fetched from, and which branch goes with which release. */
export interface YoctoLayer {
  /** Name of its collection, as in BBFILE_COLLECTIONS: what LAYERDEPENDS and BBFILES_DYNAMIC name. */
  readonly collection: string;
  /** Git URL of the repository. */
  readonly repository: string;
  /** Folder of the layer in the repository; `.` for its root. */
  readonly path: string;
  /** Branch by name of the release. A release that is missing has no such layer. */
  readonly branches: Readonly<Record<string, string>>;
}

const named = { scarthgap: 'scarthgap', whinlatter: 'whinlatter', wrynose: 'wrynose', master: 'master' };

const OE_CORE = 'https://git.openembedded.org/openembedded-core';
const META_OE = 'https://git.openembedded.org/meta-openembedded';

/** The layers that engines and images stand on, by collection. Machines bring theirs in their recipes. */
export const yoctoLayers = {
  core: { collection: 'core', repository: OE_CORE, path: 'meta', branches: named },
  'openembedded-layer': { collection: 'openembedded-layer', repository: META_OE, path: 'meta-oe', branches: named },
  'meta-python': { collection: 'meta-python', repository: META_OE, path: 'meta-python', branches: named },
  'networking-layer': { collection: 'networking-layer', repository: META_OE, path: 'meta-networking', branches: named },
  'filesystems-layer': {
    collection: 'filesystems-layer',
    repository: META_OE,
    path: 'meta-filesystems',
    branches: named,
  },
  'virtualization-layer': {
    collection: 'virtualization-layer',
    repository: 'https://git.yoctoproject.org/meta-virtualization',
    path: '.',
    branches: named,
  },
  yocto: {
    collection: 'yocto',
    repository: 'https://git.yoctoproject.org/meta-yocto',
    path: 'meta-poky',
    branches: named,
  },
} as const satisfies Record<string, YoctoLayer>;

/** LAYERDEPENDS of meta-virtualization, the same in every release (its conf/layer.conf). */
export const virtualizationDepends = ['core', 'filesystems-layer', 'meta-python', 'networking-layer', 'openembedded-layer'] as const; // prettier-ignore

/** Repository of bitbake itself: no layer, but what runs them. */
export const bitbakeRepository = 'https://git.openembedded.org/bitbake';

/** Collections of the layers that a distro comes from. A distro that is not here comes from a layer of the product file. */
export const distroLayers: Readonly<Record<string, readonly string[]>> = {
  nodistro: [],
  poky: ['yocto'],
  'poky-altcfg': ['yocto'],
};
