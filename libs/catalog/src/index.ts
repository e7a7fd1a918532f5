export { productPath, readArtifactFiles } from './artifact-files.ts';
export { grantDevices } from './device-nodes.ts';
export { fileIdentity } from './base-identity.ts';
export { basePath } from './base-source.ts';
export { removeDamagedBlob } from './damaged-blob.ts';
export { createLock, type LockOptions } from './create-lock.ts';
export { lockPath, readLock, writeLock, type Lock } from './lock-file.ts';
export type { Machine, Product } from './product.ts';
export type { LayerOverride, YoctoSection } from './product-file/yocto.ts';
export { parseProduct, productSchema, readProductFile } from './product-file.ts';
export {
  findRecipe,
  parseRecipe,
  recipeNames,
  recipeReleases,
  recipeSchema,
  supportedReleases,
  type DeviceRule,
  type PerRelease,
  type Recipe,
  type RecipeDisk,
  type RecipeHardware,
  type RecipeKernel,
  type RecipeLayer,
  type RecipePartition,
  type RecipeRelease,
  type RecipeYocto,
} from './recipe.ts';
export { readApps, type ProductApps, type ResolvedApp } from './read-apps.ts';
export { lockDifferences, releaseFolder, resolveVariants, type ResolveOptions } from './resolve-variants.ts';
export { checkVersions, pickVersions } from './tool-versions.ts';
export { readCertificate, readPublicKey, readSigningKey, signingKeyPath } from './signing-keys.ts';
export { importProduct, type ImportedProduct, type ImportOptions } from './import-product.ts';
