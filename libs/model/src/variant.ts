import type { AppSecret } from './app.ts';
import type { Descriptor } from './container-image.ts';
import type { DeviceClass } from './device-class.ts';
import type { Digest } from './digest.ts';

/** Which partition of the base image is the rootfs, when it cannot be found by itself. */
export type RootfsSelector = { readonly partition: number } | { readonly name: string };

/** Size and digest of a file as it was given. */
export interface FileIdentity {
  readonly digest: Digest;
  readonly size: number;
}

export interface LockedLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
}

/** An image pinned for one platform. */
export interface LockedImage {
  /** Normalised reference. */
  readonly reference: string;
  readonly platform: string;
  readonly index?: Digest;
  readonly manifest: Descriptor;
  readonly manifestSynthesized?: boolean;
  readonly config: Descriptor;
  readonly layers: readonly LockedLayer[];
}

/** One entry of `artifacts`, every default filled in. What the options mean, the format knows. Plain JSON. */
export interface ArtifactOptions {
  readonly format: string;
  readonly [option: string]: string | number | boolean | undefined;
}

/**
 * A document about a release that lies beside it: a bill of materials as CycloneDX or SPDX, or where it comes from (SLSA
 * provenance in a signed in-toto statement).
 */
export type ReleaseDocument = 'cyclonedx' | 'spdx' | 'provenance';

export interface StoreOptions {
  /** Bytes, or as small as its contents and the reserve allow. */
  readonly size: number | 'auto';
  /** Share of the file system left free for the device, 0 to 0.9. */
  readonly reserve: number;
}

/**
 * What starts the apps: `units`, one systemd unit for each service; `compose`, the device's own `docker compose`; `quadlet`,
 * files that podman's own generator makes such units of.
 */
export type AppStart = 'units' | 'compose' | 'quadlet';

export interface VariantEngine {
  readonly name: string;
  /** Absent: what the base image has decides. */
  readonly start?: AppStart;
  /** Where it keeps its images, for an engine that knows several ways, in its own words. Absent: the base image decides. */
  readonly imageStore?: string;
  /** containerd's namespace that images and containers are in; absent: `default`. */
  readonly namespace?: string;
  /** containerd's word: whether the compressed layers are left out; absent: what the engine prefers. */
  readonly discardUnpackedLayers?: boolean;
  /** Images that the engine itself starts beside those of the apps; normalised references, sorted. */
  readonly images?: readonly string[];
}

export interface VariantApp {
  readonly name: string;
  /** Digest over the Compose file and every file that it brings along. */
  readonly digest: Digest;
  /** Normalised references, sorted. */
  readonly images: readonly string[];
  /** Names and places of its secrets; absent when it has none. */
  readonly secrets?: readonly AppSecret[];
}

/**
 * One machine × engine × set of apps, every default filled in, every input a digest. Plain JSON. Equal variants make
 * equal artifacts, bit for bit.
 */
export interface Variant {
  readonly product: string;
  readonly version: string;
  readonly name: string;
  readonly machine: {
    readonly name: string;
    readonly platform: string;
    readonly rootfs?: RootfsSelector;
    /** Device nodes of the classes that its apps ask for. */
    readonly devices?: Readonly<Partial<Record<DeviceClass, readonly string[]>>>;
  };
  /** The vendor's image; absent when it is not built yet, and only `store` can make something. */
  readonly base?: FileIdentity;
  readonly engine: VariantEngine;
  readonly apps: readonly VariantApp[];
  readonly images: readonly LockedImage[];
  readonly artifacts: readonly ArtifactOptions[];
  /** Documents about the release; absent when none is asked for. */
  readonly documents?: readonly ReleaseDocument[];
  readonly store: StoreOptions;
  /** Bytes of the data partition as shipped; it grows on the device. */
  readonly dataSize: number;
  readonly signing: { readonly keyId: string; readonly development: boolean };
  /** Time of everything that is generated, seconds since 1970. */
  readonly epoch: number;
  /** Version of Boxship, and of each host program whose version can change bytes. */
  readonly tools: Readonly<Record<string, string>>;
}
