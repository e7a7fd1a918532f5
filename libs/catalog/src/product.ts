import type { SecretSource } from '@boxship/compose-spec';
import type {
  AppLanguage,
  EngineSettings,
  Location,
  ReleaseDocument,
  RootfsSelector,
  StoreOptions,
  VariantEngine,
} from '@boxship/model';
import type { AssembledBase } from './assembled-base.ts';
import type { WrittenArtifact } from './product-file/artifacts.ts';
import type { YoctoSection } from './product-file/yocto.ts';

/** Where a base image comes from, as the product file says it. */
export type BaseSource =
  /** A file, or a folder that holds one. */
  | { readonly path: string }
  | { readonly url: string; readonly sha256: string }
  | AssembledBase
  /** After `oci:`: a layout and a name in it, or a reference to a registry. */
  | { readonly oci: string };

export interface Machine {
  readonly name: string;
  /** The vendor's image. Absent: `compose` cannot make one yet; `layer` and `store` need none. */
  readonly base?: BaseSource;
  readonly engine?: VariantEngine;
  /** `os/architecture[/variant]` of the images that it runs. */
  readonly platform: string;
  /** Where that is said; of a machine whose recipe or name says it, its own place. */
  readonly platformWhere: Location;
  /** What is made for it. */
  readonly artifacts: readonly WrittenArtifact[];
  readonly rootfs?: RootfsSelector;
  /** Bytes of the smallest storage that the product is used with, when the recipe does not say it. */
  readonly storage?: number;
  /** Name of its recipe in the catalogue, when it has one. */
  readonly recipe?: string;
  readonly where: Location;
}

export interface ProductApp {
  readonly name: string;
  /** Path of the Compose file, relative to the product file; of what else `language` says. */
  readonly compose: string;
  /** Absent: Compose. */
  readonly language?: AppLanguage;
  /** Further Compose files that change it, in order; relative to the product file. */
  readonly overrides: readonly string[];
  /** Values for `${…}` in the Compose file; nothing comes from the environment of the build host. */
  readonly environment: Readonly<Record<string, string>>;
  readonly envFile?: string;
  readonly profiles: readonly string[];
  /** Where secrets of the Compose file come from, by their key there. */
  readonly secrets: Readonly<Record<string, { readonly source: SecretSource; readonly where: Location }>>;
  /** Copy what the containers print to the device's console. */
  readonly console: boolean;
  readonly where: Location;
}

export interface ProductVariant {
  readonly name: string;
  readonly engine?: VariantEngine;
  readonly apps: readonly string[];
  readonly machines: readonly string[];
  readonly where: Location;
}

export interface ImageOrigin {
  /** Reference as written. */
  readonly reference: string;
  /** `oci:DIR[:ref]`, `oci-archive:FILE[:ref]`, `docker-archive:FILE[:ref]` or `registry`. */
  readonly from: string;
  readonly where: Location;
}

/** What a person wrote in boxship.yaml, checked, defaults filled in, `extends` resolved. Paths as written. */
export interface Product {
  /** Absolute path of the file; paths in it are relative to its folder. */
  readonly file: string;
  readonly name: string;
  readonly version: string;
  readonly machines: readonly Machine[];
  readonly engineSettings: EngineSettings;
  /** Of what names none itself: a variant's engine goes before its machine's, and that before this one. */
  readonly engine: VariantEngine;
  readonly apps: readonly ProductApp[];
  readonly images: readonly ImageOrigin[];
  readonly variants: readonly ProductVariant[];
  /** Documents about each release; sorted, each once. */
  readonly documents: readonly ReleaseDocument[];
  readonly store: StoreOptions;
  readonly dataSize: number;
  /** What the generated layer is to be; absent when the product file does not speak of Yocto. */
  readonly yocto?: YoctoSection;
  readonly signing?: {
    readonly key: string;
    /** Public half, for `plan` and for the device; beside the key by default, as cosign puts it. */
    readonly publicKey: string;
    readonly passwordEnvironment: string;
    /** PEM, for updaters that want one: of the key, those of its issuers behind it. */
    readonly certificate?: string;
  };
}
