import type { BytePath } from '@boxship/model';

/** What a container engine needs of the device socket: data alone, so that the socket knows no engine by name. */
export interface EngineSocket {
  /**
   * What is put in the engine's places once the store is verified, in this order: a mount below another comes after it.
   * The mount points that are not inside of another mount are made in the rootfs, for a read-only root needs them there.
   */
  readonly mounts: readonly EngineMount[];
  /** Units that must not start on a store that is not verified: those of the engine, its sockets, what it stands on. */
  readonly units: readonly EngineUnit[];
  /** Absolute folders of the root filesystem that the engine writes to; where that is read-only, a copy in memory takes it. */
  readonly writable?: readonly string[];
  /** Files of an app, below `apps/<app>/<folder>/` of the store, that the engine reads: they are copied before systemd is reloaded. */
  readonly appFolders?: readonly EngineAppFolder[];
  /** It writes nothing on the store partition, which is mounted read-only where every engine of the device says so. */
  readonly storeIsReadOnly?: boolean;
}

export interface EngineAppFolder {
  /** One name, not `units`, which is systemd's. */
  readonly folder: string;
  /** Absolute path on the device. */
  readonly at: string;
}

/** A folder of one of our partitions, bind-mounted on the device. */
export interface EngineMount {
  /** `store` is replaced whole by an update; `data` is never written by one. */
  readonly from: 'store' | 'data';
  /** Path in that partition, relative. On `store` the engine's `preload` makes it, on `data` the device does. */
  readonly folder: BytePath;
  /** Absolute path on the device. */
  readonly at: string;
  /** Permission bits of the folder, wherever it has to be made. */
  readonly mode: number;
  /** One line for the mount unit. */
  readonly description: string;
  /** Empty files that the engine looks for while nothing is mounted there: on a device without a store. Relative to `at`. */
  readonly unmounted?: readonly BytePath[];
}

export interface EngineUnit {
  readonly name: string;
  /** Mounts, by the path on the device, that it comes after beyond the verification. */
  readonly after?: readonly string[];
}

/** Name of the mount unit of an absolute path: systemd.unit(5), "String Escaping for Inclusion in Unit Names". */
export function mountUnitName(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0) return '-.mount';
  const escaped = parts.map((part, index) =>
    [...Buffer.from(part)].map((byte, at) => {
      const character = String.fromCharCode(byte);
      const isPlain = /[a-zA-Z0-9:_.]/.test(character) && !(character === '.' && index === 0 && at === 0);
      return isPlain ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
    }).join(''),
  ); // prettier-ignore
  return `${escaped.join('-')}.mount`;
}

/** Whether the path is the folder or something below it. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
