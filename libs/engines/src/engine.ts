import type { ComposeKeys } from './compose-keys.ts';
import type { EngineFootprint } from './engine-footprint.ts';
import type { EngineKernelOptions } from './kernel-options.ts';
import type { EngineSocket } from '@boxship/device-socket';
import type {
  App,
  AppLanguage,
  AppStart,
  ContainerImage,
  DeviceFacts,
  Digest,
  EngineFacts,
  EngineSettings,
  Problem,
  Tree,
  TreeEntry,
  VariantEngine,
} from '@boxship/model';
import type { BuildNeeds, YoctoRelease } from '@boxship/yocto';

/** The device that an engine's images are for. */
export interface EngineDevice {
  readonly facts: DeviceFacts;
  /** What the product file asks of the engine. */
  readonly engine: VariantEngine;
}

/** What makes images runnable at first boot; paths are relative to the store partition. */
export interface Preload {
  /** Image layers, each a branch: may be read-only on the device. */
  readonly layers: Tree;
  /** Indexes and links: must be writable. */
  readonly state: Tree;
  /** The files of both whose bytes decide what runs; `boxship-verify` checks them before the engine starts. */
  readonly verified: Tree;
  /** What the engine knows each image by, whatever its names, by its reference. */
  readonly imageIds: ReadonlyMap<string, Digest>;
}

export interface PreloadOptions {
  /** Time of every generated file, seconds since 1970. */
  readonly epoch: number;
}

export interface StartOptions extends PreloadOptions {
  /** Copy what the containers print to the device's console. */
  readonly console: boolean;
  /** What starts the app. Default: what the engine prefers on this device. */
  readonly start?: AppStart;
  /** containerd's namespace. Default: that of the engine. */
  readonly namespace?: string;
}

/** A file of the rootfs that keeps the engine to the store that was made for it. */
export interface EngineFile {
  /** Its path is relative to the rootfs; what the vendor has there is replaced. */
  readonly entry: TreeEntry;
  /** One line for the plan. */
  readonly why: string;
}

/** What a Yocto build must know of an engine: its half of `Engine` for `layer` and `assess`. */
export interface EngineBuild {
  /** Platforms for which OpenEmbedded can build it, `os/architecture[/variant]`, and why no others. */
  readonly platforms: { readonly known: readonly string[]; readonly why: string };
  /** Packages, distro features, configuration of this engine in that release. */
  buildNeeds(release: YoctoRelease, settings: EngineSettings, engine: VariantEngine): BuildNeeds;
  /** The engine as it is found on an image that has all of `needs`. */
  builtEngine(needs: BuildNeeds): EngineFacts;
}

/** A container engine. One module each, which serves `layer` and `compose` alike; the registry is `engines`. */
export interface Engine extends EngineBuild {
  readonly name: string;
  /** Languages of apps that it reads beside Compose; others never reach `start`. */
  readonly languages?: readonly AppLanguage[];
  /** What it needs of the kernel, with a reason and a source for each option. */
  readonly kernelOptions: EngineKernelOptions;
  /** What it costs a device that does nothing else. */
  readonly footprint: EngineFootprint;
  /** What it makes of each key of a Compose service. */
  readonly composeKeys: ComposeKeys;
  /** Ways in which it can keep images, in its own words, when there are several: `engine.imageStore` of the product file. */
  readonly imageStores?: readonly string[];
  /** The one of `imageStores` that a device uses. Errors: UNKNOWN_IMAGE_STORE. */
  imageStoreOf?(device: EngineDevice): string;
  /** Files, relative to the store partition, that make the images runnable at first boot without a network or an import. */
  preload(images: readonly ContainerImage[], device: EngineDevice, options: PreloadOptions): Preload;
  /** Units and configuration that start the app, below `apps/<app>/`; `imageIds` as `preload` gives them. */
  start(app: App, imageIds: ReadonlyMap<string, Digest>, facts: DeviceFacts, options: StartOptions): Tree;
  /** What the device does for the engine: mounts, units that wait for the verification, folders. */
  socket(device: EngineDevice): EngineSocket;
  /** Files of the rootfs without which the engine might not use the store; none where it cannot do otherwise. */
  configuration?(device: EngineDevice, options: PreloadOptions): readonly EngineFile[];
  /** Refuses a device whose engine could not work with our store. Errors: ENGINE_MISSING, ENGINE_CONFLICT, naming both sides. */
  check(device: EngineDevice): void;
  /** What would keep the engine from working on the device, as far as the base image tells: for the plan. */
  warnings(device: EngineDevice): Problem[];
}
