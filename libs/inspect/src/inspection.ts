import type { ListedImage } from '@boxship/engines';
import type { ListedOciImage } from '@boxship/oci';
import type { Problem } from '@boxship/model';
import type { UpdateContent } from './updates/update-reader.ts';

/** What is known of a signature: nobody gave a key, the key says yes, it says no, there is none. */
export type SignatureState = 'unchecked' | 'ok' | 'bad' | 'missing';

/** Document of `boxship inspect --json`. Fields are only added while `inspectVersion` stays; sizes are bytes. */
export interface Inspection {
  readonly inspectVersion: 1;
  readonly path: string;
  /** What it is, for people: `disk image`, `file system`, `release`, … */
  readonly kind: 'disk' | 'installer' | 'filesystem' | 'release' | 'store-bundle' | 'images' | 'update';
  /** Name of the format that reads it. */
  readonly format: string;
  /** Of the file as it is; absent for folders. */
  readonly size?: number;
  /** `gz`, `xz`, …: how it is compressed. */
  readonly compression?: string;
  readonly devices?: readonly InspectedDevice[];
  readonly filesystem?: InspectedFilesystem;
  /** What an installer's parts say of themselves. */
  readonly installer?: InspectedInstaller;
  readonly release?: InspectedRelease;
  /** An archive or a layout of images. */
  readonly images?: InspectedImages;
  /** A file of an updater. */
  readonly update?: UpdateContent;
  readonly problems: readonly Problem[];
}

export interface InspectedDevice {
  readonly name: string;
  readonly size?: number;
  readonly table?: 'gpt' | 'mbr';
  readonly sectorSize?: number;
  /** GUID of a GPT, signature of an MBR. */
  readonly diskId?: string;
  readonly partitions: readonly InspectedPartition[];
}

export interface InspectedPartition {
  readonly number: number;
  readonly name?: string;
  /** Absent where an installer decides. */
  readonly start?: number;
  readonly size?: number;
  /** Type GUID of a GPT, two hex digits of an MBR. */
  readonly type?: string;
  readonly uuid?: string;
  /** Files that an installer puts there. */
  readonly files?: readonly string[];
  readonly filesystem?: InspectedFilesystem;
  readonly problems: readonly Problem[];
}

export interface InspectedFilesystem {
  /** `ext4`, `FAT`, `squashfs`, …; `unknown` for no file system that we know. */
  readonly kind: string;
  readonly label?: string;
  readonly uuid?: string;
  readonly size?: number;
  readonly free?: number;
  /** Present when a system could start from it, or an engine's store lies in it. */
  readonly system?: InspectedSystem;
  /** Present when it is a store partition of Boxship. */
  readonly store?: InspectedStore;
}

export interface InspectedSystem {
  /** `PRETTY_NAME`, else `NAME`, of os-release. */
  readonly name?: string;
  readonly id?: string;
  readonly version?: string;
  readonly init?: string;
  readonly systemdVersion?: number;
  readonly kernelVersion?: string;
  readonly kernelArchitecture?: string;
  readonly ostree?: boolean;
  readonly readOnlyRoot?: boolean;
  /** Version of the device socket that is there. */
  readonly socketVersion?: number;
  readonly engines: readonly { readonly name: string; readonly version?: string; readonly program: string }[];
  readonly stores: readonly InspectedEngineStore[];
}

/** Images that an engine has in its own store. */
export interface InspectedEngineStore {
  /** The kind of store. */
  readonly engine: string;
  /** Folder in that file system, absolute. */
  readonly folder: string;
  readonly images: readonly ListedImage[];
  readonly problems: readonly Problem[];
}

/** What store.json says, and what is really there. */
export interface InspectedStore {
  readonly signature: SignatureState;
  readonly product: string;
  readonly version: string;
  readonly variant: string;
  readonly machine: string;
  readonly platform: string;
  readonly engine: string;
  readonly socketVersion: number;
  readonly apps: readonly string[];
  readonly images: readonly {
    readonly reference: string;
    readonly manifest: string;
    readonly config: string;
    readonly layers: number;
  }[];
  /** The engine's own view of the images. */
  readonly stores: readonly InspectedEngineStore[];
}

export interface InspectedInstaller {
  readonly name: string;
  readonly version?: string;
  readonly configFormat: number;
  readonly productIds: readonly string[];
  readonly autoinstall: boolean;
}

export interface InspectedRelease {
  readonly signature: SignatureState;
  readonly development: boolean;
  readonly product?: string;
  readonly version?: string;
  readonly variant?: string;
  readonly machine?: string;
  readonly engine?: string;
  readonly apps: readonly string[];
  readonly images: readonly { readonly reference: string; readonly manifest: string }[];
  readonly files: readonly {
    readonly name: string;
    readonly size: number;
    readonly digest: string;
    /** `absent`, or another size than the release says; digests are for `boxship verify`. */
    readonly state: 'there' | 'absent' | 'wrong size';
  }[];
}

export interface InspectedImages {
  readonly images: readonly ListedOciImage[];
}
