import type { Ext4Reader } from './ext4-reader.ts';

/**
 * Options that decide whether a container engine, our partitions or our filesystem work; the other ten thousand would only
 * fill the plan. Source: moby contrib/check-config.sh ("Generally Necessary" and overlay), and what the socket needs.
 */
const NAMES = new Set(
  `NAMESPACES NET_NS PID_NS IPC_NS UTS_NS USER_NS
   CGROUPS CGROUP_CPUACCT CGROUP_DEVICE CGROUP_FREEZER CGROUP_SCHED CGROUP_PIDS CGROUP_BPF CPUSETS MEMCG BPF_SYSCALL KEYS
   VETH BRIDGE BRIDGE_NETFILTER NF_NAT IP_NF_NAT IP_NF_FILTER IP_NF_TARGET_MASQUERADE NETFILTER_XT_MATCH_ADDRTYPE
   NETFILTER_XT_MATCH_CONNTRACK NETFILTER_XT_MARK POSIX_MQUEUE OVERLAY_FS SECCOMP SECCOMP_FILTER
   EXT4_FS EXT4_FS_POSIX_ACL EXT4_FS_SECURITY EFI_PARTITION MSDOS_PARTITION
   SECURITY_APPARMOR SECURITY_SELINUX LSM DEFAULT_SECURITY DEFAULT_SECURITY_APPARMOR`.split(/\s+/),
);

/**
 * The kernel's configuration, where the rootfs has it (`/boot/config-*`, `/lib/modules/<version>/config`): those options
 * that matter here, without `CONFIG_`, to `y`, `m`, `n` or a value. Of several kernels, the last by name.
 */
export async function readKernelConfig(fs: Ext4Reader): Promise<Record<string, string> | undefined> {
  const path = await findKernelConfig(fs);
  const text = path === undefined ? undefined : await fs.readText(path);
  if (text === undefined) return undefined;
  const options: Record<string, string> = Object.fromEntries([...NAMES].map((name) => [name, 'n']));
  for (const match of text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)) {
    if (NAMES.has(match[1]!)) options[match[1]!] = match[2]!.replace(/^"(.*)"$/, '$1');
  }
  return options;
}

async function findKernelConfig(fs: Ext4Reader): Promise<string | undefined> {
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
