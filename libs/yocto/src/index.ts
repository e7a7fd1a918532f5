export { bitbakeString, bitbakeWords } from './bitbake-text.ts';
export type { BuildNeeds, ConfigurationChange, ConfigurationFile } from './build-needs.ts';
export { isReservedName, isYoctoName, packageVersion } from './names.ts';
export { bitbakeRepository, distroLayers, virtualizationDepends, yoctoLayers, type YoctoLayer } from './yocto-layer.ts';
export { findYoctoRelease, yoctoReleases, type YoctoRelease, type YoctoReleaseName } from './yocto-release.ts';
export { parseWks, type Wks, type WksOptions, type WksPart } from './wks.ts';
