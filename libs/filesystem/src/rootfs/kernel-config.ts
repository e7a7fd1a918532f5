import type { RootfsReader } from './rootfs-reader.ts';

/** A kernel's configuration, as `make` writes it to `.config`. */
export interface KernelConfig {
  /** Name without `CONFIG_` to `y`, `m`, `n`, a number, or a text without its quotes. What is absent is off. */
  readonly options: Readonly<Record<string, string>>;
  /** `6.6.52`, when the file says so. */
  readonly version?: string;
  /** The kernel's word: `x86`, `arm64`, `arm`. */
  readonly architecture?: string;
}

/** Reads the text of a `.config`; lines that are none are passed over. */
export function parseKernelConfig(text: string): KernelConfig {
  const options: Record<string, string> = {};
  for (const [, name, value, off] of text.matchAll(/^(?:CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set)\r?$/gm)) {
    if (off !== undefined) options[off] = 'n';
    else options[name!] = value!.replace(/^"(.*)"$/, '$1');
  }
  // the third line of every .config since Linux 2.6.39
  const [, architecture, version] = /^# Linux\/(\w+) (\d+\.\d+\S*) Kernel Configuration/m.exec(text) ?? [];
  return { options, ...(version ? { version } : {}), ...(architecture ? { architecture } : {}) };
}

/** The kernel's configuration, where the rootfs has it (`/boot/config-*`, `/lib/modules/<version>/config`): of several the last. */
export async function readKernelConfig(fs: RootfsReader): Promise<KernelConfig | undefined> {
  const path = await findKernelConfig(fs);
  const text = path === undefined ? undefined : await fs.readText(path);
  return text === undefined ? undefined : parseKernelConfig(text);
}

async function findKernelConfig(fs: RootfsReader): Promise<string | undefined> {
  const boot = (await fs.readDirectory('boot')).filter(({ name }) => /^config(-|$)/.test(name)).at(-1);
  if (boot) return `boot/${boot.name}`;
  for (const folder of ['usr/lib/modules', 'lib/modules']) {
    for (const { name } of (await fs.readDirectory(folder)).toReversed()) {
      for (const file of ['config', 'build/.config']) {
        if (await fs.exists(`${folder}/${name}/${file}`)) return `${folder}/${name}/${file}`;
      }
    }
  }
  return undefined;
}
