import type { DeviceLayout, RootfsChange } from '@boxship/formats';
import type { Digest, PartitionTableType, Variant } from '@boxship/model';

/** What will be made, to the byte, before the first one is written. Plain JSON. */
export interface ReleasePlan {
  readonly variant: Variant;
  /** Folder of the artifacts, relative to the output folder: `<product>-<version>/<machine>-<engine>-<variant>`. */
  readonly folder: string;
  /** Names of the files that will be in it, without signatures. */
  readonly files: readonly string[];
  readonly table: {
    readonly type: PartitionTableType;
    readonly before: DeviceLayout;
    readonly after: DeviceLayout;
  };
  readonly rootfs: {
    /** Number of the rootfs partition. */
    readonly partition: number;
    /** What is added to or changed in the vendor's rootfs; empty when it has the device socket already. */
    readonly changes: readonly RootfsChange[];
  };
  /** What the user should look at; nothing of it stops the run. */
  readonly warnings: readonly string[];
}

/** The same of one variant that is composed: `boxship plan --json`. */
export interface VariantPlan extends ReleasePlan {
  readonly budget: Budget;
}

/** Where the bytes of the store go. All numbers in bytes. */
export interface Budget {
  /** The store partition. */
  readonly size: number;
  /** Blocks of files and directories: of layers, and of what the engine and the apps need beside them. */
  readonly contents: number;
  /** What the file system itself needs: inodes, bitmaps, journal, room to grow. */
  readonly overhead: number;
  readonly free: number;
  /** Share of the file system that was asked to stay free, 0 to 0.9. */
  readonly reserve: number;
  /** Each layer once, largest first. */
  readonly layers: readonly LayerBudget[];
  readonly apps: readonly AppBudget[];
}

export interface LayerBudget {
  readonly diffId: Digest;
  /** Contents of its files. */
  readonly bytes: number;
  readonly entries: number;
  /** References of the images that hold it. */
  readonly images: readonly string[];
  readonly apps: readonly string[];
}

export interface AppBudget {
  readonly name: string;
  /** All layers of its images, each once. */
  readonly bytes: number;
  /** Of them, what another app of this variant holds too. */
  readonly shared: number;
  /** What travels with the app beside its images: Compose file, env files, configs, what it binds. */
  readonly files: number;
}
