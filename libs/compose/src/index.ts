export { composeProduct, planProduct, type ComposedVariant, type ComposeOptions } from './compose-product.ts';
export { openProduct, type OpenProduct, type OpenProductOptions, type Selection } from './open-product.ts';
export { RELEASE_FILE, type Release, type ReleaseFile, type ReleasePartition } from './release.ts';
export { rebase, type RebaseOptions } from './rebase.ts';
export {
  storeProduct,
  type StoreBundle,
  type StoredPartition,
  type StoreOptions,
  type WrittenBundle,
} from './store-product.ts';
export type { AppBudget, Budget, LayerBudget, ReleasePlan, VariantPlan } from './variant-plan.ts';
export { verifyRelease, type VerifiedRelease, type VerifyOptions } from './verify-release.ts';
export { updateApps, type UpdateOptions } from './update-apps.ts';
export type { ExchangedRelease, ExchangeOptions, ExchangePlan } from './write-exchange.ts';
export {
  pullRelease,
  pushRelease,
  RELEASE_TYPE,
  SIGNATURES_TYPE,
  type PushedRelease,
  type TransferOptions,
} from './transfer-release.ts';
