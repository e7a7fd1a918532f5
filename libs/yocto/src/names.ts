/** A name that bitbake takes as an override, and every package format as a package: lower case, digits, single hyphens. */
export function isYoctoName(text: string): boolean {
  return /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(text) && text.length <= 40 && !reservedNames.has(text);
}

/** Overrides that OE sets by itself (bitbake.conf OVERRIDES): a product of that name would switch on what is meant for others. */
const reservedNames: ReadonlySet<string> = new Set([
  'aarch64', 'all', 'allarch', 'append', 'arm', 'armv7a', 'armv7ve', 'boxship', 'build', 'class-cross', 'class-native', 'class-nativesdk',
  'class-target', 'containerd', 'core', 'docker', 'forcevariable', 'hardfloat', 'i586', 'i686', 'k3s', 'libc-baremetal', 'libc-glibc',
  'libc-musl', 'libc-newlib', 'linux', 'linux-gnueabi', 'linux-musl', 'linux-muslx32', 'local', 'loongarch64', 'microblaze', 'mips',
  'mips64', 'nodistro', 'podman', 'poky', 'powerpc', 'powerpc64', 'prepend', 'qemuall', 'remove', 'riscv32', 'riscv64', 'toolchain-clang',
  'toolchain-gcc', 'x86', 'x86-64', 'x86-x32', 'yocto',
]); // prettier-ignore

/** True for a name that is well formed but is an override already. */
export function isReservedName(text: string): boolean {
  return reservedNames.has(text);
}

/**
 * A version as PV and every package format take it: `-` separates revisions there and `_` separates name and version, so
 * that a semantic pre-release `1.4.0-rc.1` becomes `1.4.0~rc.1`, which is older than `1.4.0` for all of them, and `_` a dot.
 */
export function packageVersion(version: string): string {
  return version.replaceAll('-', '~').replaceAll('_', '.');
}
