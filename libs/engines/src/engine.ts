import type { ComposeKeys } from './compose-keys.ts';
import type { EngineSocket } from '@boxship/device-socket';
import type {
  App,
  AppStart,
  BytePath,
  ContainerImage,
  DeviceFacts,
  Digest,
  ImageLayer,
  Problem,
  Tree,
} from '@boxship/model';

/** What makes images runnable at first boot; paths are relative to the store partition. */
export interface Preload {
  /** Image layers: may be read-only on the device. */
  readonly layers: Tree;
  /** Indexes and links: must be writable. */
  readonly state: Tree;
  /** The files of both whose bytes decide what runs; `boxship-verify` checks them before the engine starts. */
  readonly verified: Tree;
  /** The image layer that a path of `layers` comes from, and its path in there: for errors. */
  layerAt(path: BytePath): { readonly layer: ImageLayer; readonly path: BytePath } | undefined;
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
}

/** A container engine. One module each; the registry is `engines`. */
export interface Engine {
  readonly name: string;
  /** What it makes of each key of a Compose service; absent as long as nobody has written it down. */
  readonly composeKeys?: ComposeKeys;
  /** Files, relative to the store partition, that make the images runnable at first boot without a network or an import. */
  preload(images: readonly ContainerImage[], options: PreloadOptions): Preload;
  /** Units and configuration that start the app, below `apps/<app>/`. */
  start(app: App, imageIds: ReadonlyMap<string, Digest>, facts: DeviceFacts, options: StartOptions): Tree;
  /** What the device does for the engine: mounts, units that wait for the verification, folders. */
  readonly socket: EngineSocket;
  /** Refuses a device whose engine could not work with our store. Errors: ENGINE_MISSING, ENGINE_CONFLICT, naming both sides. */
  check(facts: DeviceFacts): void;
  /** What would keep the engine from working on the device, as far as the base image tells: for the plan. */
  warnings(facts: DeviceFacts): Problem[];
}
