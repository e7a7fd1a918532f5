import { pick } from '@boxship/model';

/** What differs between Yocto releases, as data: nothing else in Boxship asks which release it is. */
export interface YoctoRelease {
  /** Codename, as in LAYERSERIES_CORENAMES; `master` is the development branch. */
  readonly name: string;
  /** Version of the Yocto Project, as `5.0`. */
  readonly version: string;
  readonly support: 'lts' | 'stable' | 'ended' | 'development';
  /** End of life, ISO 8601, where it is announced. */
  readonly endOfLife?: string;
  /** Branch of openembedded-core and of layers that are named after it. */
  readonly branch: string;
  readonly bitbakeBranch: string;
  /** Names for LAYERSERIES_COMPAT of a layer made for this release. */
  readonly layerSeries: readonly string[];
  /**
   * Variable that names the folder into which `file://` sources are unpacked; `S` of a recipe that has nothing else.
   * Releases with UNPACKDIR refuse S = WORKDIR (insane.bbclass), those before it have no UNPACKDIR (base.bbclass).
   */
  readonly unpackVariable: 'WORKDIR' | 'UNPACKDIR';
  /** Folder of a layer in which image_types_wic.bbclass looks for wks files (WKS_SEARCH_PATH). */
  readonly wksFolder: 'wic' | 'files/wic';
  /** Between the words of wic's source plugins: `bootimg-partition`, later `bootimg_partition`. */
  readonly wicPluginSeparator: '-' | '_';
  /** meta-virtualization reads its choice of engine from CONTAINER_PROFILE (conf/distro/include/meta-virt-container-*.inc). */
  readonly hasContainerProfile: boolean;
  /** bitbake.conf has `addfragments`: `OE_FRAGMENTS += "<collection>/<path below conf/fragments>"`. */
  readonly hasConfFragments: boolean;
  /** bitbake ships `bitbake-setup` and its registry has configurations of this release. */
  readonly hasBitbakeSetup: boolean;
  /** INIT_MANAGER of oe-core's defaultsetup.conf. */
  readonly defaultInit: 'none' | 'systemd';
  /** yocto-check-layer asks for SECURITY.md and for Upstream-Status in patches. */
  readonly checksSecurityFile: boolean;
  /** SPDX version of the documents that create-spdx writes by default. */
  readonly spdxVersion: string;
}

/**
 * Read from openembedded-core, bitbake and meta-virtualization of each branch: meta/conf/layer.conf (series),
 * meta/conf/bitbake.conf (UNPACKDIR, addfragments), meta/classes-recipe/image_types_wic.bbclass (WKS_SEARCH_PATH),
 * meta/conf/distro/defaultsetup.conf (INIT_MANAGER), bitbake's default-registry.
 */
export const yoctoReleases = {
  scarthgap: {
    name: 'scarthgap',
    version: '5.0',
    support: 'lts',
    endOfLife: '2028-04-30',
    branch: 'scarthgap',
    bitbakeBranch: '2.8',
    layerSeries: ['scarthgap'],
    unpackVariable: 'WORKDIR',
    wksFolder: 'wic',
    wicPluginSeparator: '-',
    hasContainerProfile: false,
    hasConfFragments: false,
    hasBitbakeSetup: false,
    defaultInit: 'none',
    checksSecurityFile: false,
    spdxVersion: '2.2',
  },
  whinlatter: {
    name: 'whinlatter',
    version: '5.3',
    support: 'ended',
    branch: 'whinlatter',
    bitbakeBranch: '2.16',
    layerSeries: ['whinlatter'],
    unpackVariable: 'UNPACKDIR',
    wksFolder: 'wic',
    wicPluginSeparator: '_',
    hasContainerProfile: true,
    hasConfFragments: true,
    hasBitbakeSetup: true,
    defaultInit: 'none',
    checksSecurityFile: true,
    spdxVersion: '3.0.1',
  },
  wrynose: {
    name: 'wrynose',
    version: '6.0',
    support: 'lts',
    endOfLife: '2030-05-31',
    branch: 'wrynose',
    bitbakeBranch: '2.18',
    layerSeries: ['wrynose'],
    unpackVariable: 'UNPACKDIR',
    wksFolder: 'files/wic',
    wicPluginSeparator: '_',
    hasContainerProfile: true,
    hasConfFragments: true,
    hasBitbakeSetup: true,
    defaultInit: 'systemd',
    checksSecurityFile: true,
    spdxVersion: '3.0.1',
  },
  master: {
    name: 'master',
    version: '6.1 (development)',
    support: 'development',
    branch: 'master',
    bitbakeBranch: 'master',
    layerSeries: ['wrynose', 'blacksail'],
    unpackVariable: 'UNPACKDIR',
    wksFolder: 'files/wic',
    wicPluginSeparator: '_',
    hasContainerProfile: true,
    hasConfFragments: true,
    hasBitbakeSetup: true,
    defaultInit: 'systemd',
    checksSecurityFile: true,
    spdxVersion: '3.0.1',
  },
} as const satisfies Record<string, YoctoRelease>;

export type YoctoReleaseName = keyof typeof yoctoReleases;

/** The release of that codename. Errors: UNKNOWN_RELEASE, naming the known ones. */
export function findYoctoRelease(name: string): YoctoRelease {
  return pick<YoctoRelease>('release', yoctoReleases, name);
}
