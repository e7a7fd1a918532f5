export { concernsPackages, isWhiteout, mergePackages, whiteoutOf, type LayerPackageFiles } from './content-merge.ts';
export { CYCLONEDX_TYPE, cyclonedxDocument } from './cyclonedx.ts';
export type { Inventory, InventoryPart } from './inventory.ts';
export { imageUrl } from './package-url.ts';
export { isPackageFile, isUnreadDatabase, packageFiles, packageFolders, readPackages } from './read-packages.ts';
export type { InstalledSoftware, OperatingSystem, PackageManager, SoftwarePackage } from './software-package.ts';
export { SPDX_TYPE, spdxDocument } from './spdx.ts';
