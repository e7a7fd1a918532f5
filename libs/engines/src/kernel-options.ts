/**
 * What container engines need of the kernel: one table for the configuration fragment of the generated layer, for `assess`
 * and for the warnings of the plan. `baseOptions` is what every engine needs; each engine adds its own, and its entry for a
 * symbol takes the place of the one here.
 */

/** Something that an engine can do, and that a product may not want. */
export type KernelFeature = keyof typeof kernelFeatures;

/** Every feature that an option can be for, and what it gives. */
export const kernelFeatures = {
  'bridge-network': 'containers on a network of their own, with published ports',
  'iptables-legacy': 'firewall rules through iptables-legacy: what the iptables of openembedded-core is by default',
  'iptables-nft': 'firewall rules through iptables-nft: what Debian and most distributions ship as iptables',
  nftables: 'firewall rules through nftables itself',
  ipv6: 'IPv6 networks of containers, with their own firewall rules',
  'block-io-limits': 'limits of block I/O (blkio_config in Compose)',
  'huge-pages': 'limits of huge pages',
  perf: 'perf events of one container',
  'user-namespaces': 'root in a container that is nobody outside; engines without root',
  apparmor: 'a profile of AppArmor for each container',
  selinux: 'a label of SELinux for each container',
  ipvs: 'load balancing of services in the kernel (docker swarm, kube-proxy in IPVS mode)',
  'overlay-network': 'one network of containers across several machines (VXLAN)',
  'encrypted-overlay': 'such a network, encrypted with IPsec',
  wireguard: 'such a network, encrypted with WireGuard (flannel of k3s)',
  'network-policy': 'network policies of Kubernetes',
  macvlan: 'containers with an address of the LAN (macvlan)',
  ipvlan: 'containers with an address of the LAN (ipvlan)',
  'ftp-nat': 'FTP and TFTP clients in containers behind NAT',
  sctp: 'published SCTP ports',
  quota: 'a size limit of the writable layer of a container',
  checkpoint: 'checkpoint and restore of running containers (CRIU)',
  fuse: 'overlay storage of engines without root (fuse-overlayfs)',
} as const;

/** Of these one is enough: an engine writes its rules through whichever there is. */
export const firewallFeatures: readonly KernelFeature[] = ['iptables-legacy', 'iptables-nft', 'nftables'];

/** One option of the kernel's configuration. */
export interface KernelOption {
  /** Name in Kconfig, without `CONFIG_`. */
  readonly symbol: string;
  /** What a fragment asks for. `m`: may be a module; where it is looked for, `y` counts as well. */
  readonly want: 'y' | 'm';
  /** `required`: the engine does not run without; `recommended`: it runs, something is lost for every app; else for features. */
  readonly need: 'required' | 'recommended' | readonly KernelFeature[];
  /** In one sentence. */
  readonly why: string;
  /** Where that is said: project, commit, file. */
  readonly source: string;
  /** Kernel versions that have it, as `6.17`: from `since`, before `until`. Default: all that are in use. */
  readonly since?: string;
  readonly until?: string;
}

/** The kernel side of an engine. */
export interface EngineKernelOptions {
  /** Ordered by need, then as the sources have them; one entry for a symbol. */
  readonly options: readonly KernelOption[];
  /** Features that the engine uses as it comes; the others are for those who ask. */
  readonly defaultFeatures: readonly KernelFeature[];
}

type Row = readonly [
  symbol: string,
  want: 'y' | 'm',
  why: string,
  versions?: { readonly since?: string; readonly until?: string },
];

/** Options of one need and source. */
export function kernelOptions(need: KernelOption['need'], source: string, rows: readonly Row[]): KernelOption[] {
  return rows.map(([symbol, want, why, versions]) => ({ symbol, want, need, why, source, ...versions }));
}

/** The base, and what an engine adds; for a symbol of both the engine's entry counts. */
export function withBase(own: readonly KernelOption[], defaultFeatures: readonly KernelFeature[]): EngineKernelOptions {
  const symbols = new Set(own.map(({ symbol }) => symbol));
  const rank = ({ need }: KernelOption) => (need === 'required' ? 0 : need === 'recommended' ? 1 : 2);
  const options = [...baseOptions.filter(({ symbol }) => !symbols.has(symbol)), ...own];
  return { options: options.sort((a, b) => rank(a) - rank(b)), defaultFeatures };
}

/** The options that a kernel of this version (`6.6`, `6.6.52-lts`; unknown: any) is asked for to give these features. */
export function wantedOptions(
  { options, defaultFeatures }: EngineKernelOptions,
  { features = defaultFeatures, version }: { features?: readonly KernelFeature[]; version?: string } = {},
): readonly KernelOption[] {
  return options.filter(
    (option) =>
      existsIn(option, version) &&
      (typeof option.need === 'string' || option.need.some((feature) => features.includes(feature))),
  );
}

/** What a kernel lacks for an engine. */
export interface MissingOptions {
  readonly required: readonly KernelOption[];
  readonly recommended: readonly KernelOption[];
  /** Features that were asked for and are not whole, with what they lack. */
  readonly features: readonly { readonly feature: KernelFeature; readonly missing: readonly KernelOption[] }[];
}

/**
 * What a kernel with this configuration (names without CONFIG_) lacks. An absent option is off; `m` and `y` are both on.
 * Of the ways to write firewall rules one is enough, whichever was asked for.
 */
export function missingOptions(
  table: EngineKernelOptions,
  config: Readonly<Record<string, string>>,
  { features = table.defaultFeatures, version }: { features?: readonly KernelFeature[]; version?: string } = {},
): MissingOptions {
  const isOff = ({ symbol }: KernelOption) => !Object.hasOwn(config, symbol) || config[symbol] === 'n';
  const lacking = table.options.filter((option) => existsIn(option, version) && isOff(option));
  const of = (feature: KernelFeature) =>
    lacking.filter(({ need }) => typeof need !== 'string' && need.includes(feature));
  const firewalled = firewallFeatures.some((feature) => of(feature).length === 0);
  return {
    required: lacking.filter(({ need }) => need === 'required'),
    recommended: lacking.filter(({ need }) => need === 'recommended'),
    features: features
      .filter((feature) => !(firewalled && firewallFeatures.includes(feature)))
      .map((feature) => ({ feature, missing: of(feature) }))
      .filter(({ missing }) => missing.length > 0),
  };
}

/** Whether a kernel of that version knows the option at all; an unknown version may. */
export function existsIn({ since, until }: KernelOption, version: string | undefined): boolean {
  if (version === undefined) return true;
  return (
    (since === undefined || compareVersions(version, since) >= 0) &&
    (until === undefined || compareVersions(version, until) < 0)
  );
}

/** Compares major and minor. */
function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map((part) => Number.parseInt(part, 10));
  const [majorB = 0, minorB = 0] = b.split('.').map((part) => Number.parseInt(part, 10));
  return majorA - majorB || minorA - minorB;
}

/** Scripts and documents that the tables are made from. */
export const MOBY = 'moby b985e2313a86 contrib/check-config.sh';
export const K3S = 'k3s 06441e848938 contrib/util/check-config.sh';
const KCONFIG = 'Linux 6.12 net/netfilter/Kconfig, net/ipv4/netfilter/Kconfig (dependencies)';

export const baseOptions: readonly KernelOption[] = [
  ...kernelOptions('required', `${MOBY} (generally necessary)`, [
    ['NAMESPACES', 'y', 'A container is a set of namespaces.'],
    ['NET_NS', 'y', 'Its own network interfaces and ports.'],
    ['PID_NS', 'y', 'Its own process ids.'],
    ['IPC_NS', 'y', 'Its own shared memory and message queues.'],
    ['UTS_NS', 'y', 'Its own host name.'],
    ['CGROUPS', 'y', 'Its processes are found, limited and ended together.'],
    ['CGROUP_SCHED', 'y', 'Its share of the processor.'],
    ['CPUSETS', 'y', 'The processors that it may use.'],
    ['MEMCG', 'y', 'Its memory limit: without, one app can take the device down.'],
    ['KEYS', 'y', 'runc gives each container a session keyring.'],
    ['POSIX_MQUEUE', 'y', '/dev/mqueue is mounted into every container.'],
    ['CGROUP_BPF', 'y', 'The device rules of cgroup v2 are BPF programs.', { since: '4.15' }],
    ['OVERLAY_FS', 'y', 'Image layers are stacked with overlayfs: the storage of the store partition.'],
    ['EXT4_FS', 'y', 'The store and data partitions are ext4.'],
  ]),
  ...kernelOptions('required', 'Linux init/Kconfig: CGROUP_BPF depends on BPF_SYSCALL', [
    ['BPF_SYSCALL', 'y', 'Loads the device rules of cgroup v2.'],
  ]),
  ...kernelOptions('required', 'runc 1.2 libcontainer/SPEC.md (file systems, devices of every container)', [
    ['TMPFS', 'y', '/dev and /dev/shm of every container.'],
    ['UNIX98_PTYS', 'y', '/dev/pts of every container.'],
    ['DEVTMPFS', 'y', 'Device nodes that are passed into containers must exist.'],
    ['UNIX', 'y', 'Engines, shims and clients talk through Unix sockets.'],
    ['INET', 'y', 'Even a container without a network has its loopback interface.'],
  ]),
  ...kernelOptions(
    'required',
    'Go runtime src/runtime/netpoll_epoll.go, os_linux.go: engines and shims are Go programs',
    [
      ['FUTEX', 'y', 'Go programs do not start without.'],
      ['EPOLL', 'y', 'Go programs do no I/O without.'],
      ['EVENTFD', 'y', 'Wakes the poller; out-of-memory events of a container.'],
    ],
  ),
  ...kernelOptions('recommended', `${MOBY} (generally necessary; of cgroup v1, cgroup v2 does without)`, [
    ['CGROUP_DEVICE', 'y', 'Only the device nodes that it was given, where systemd still mounts cgroup v1.'],
    ['CGROUP_FREEZER', 'y', 'Pause, where systemd still mounts cgroup v1.'],
    ['CGROUP_CPUACCT', 'y', 'Processor time that it used, where systemd still mounts cgroup v1.'],
  ]),
  ...kernelOptions('recommended', `${MOBY} (optional features)`, [
    ['SECCOMP', 'y', "Without, containers run without the engine's filter of system calls."],
    ['SECCOMP_FILTER', 'y', "The engine's filter of system calls."],
    ['CGROUP_PIDS', 'y', 'A fork bomb in one app stops that app, not the device.'],
    ['CFS_BANDWIDTH', 'y', '`cpus:` in a Compose file.'],
    ['FAIR_GROUP_SCHED', 'y', '`cpu_shares:` in a Compose file.'],
    ['EXT4_FS_POSIX_ACL', 'y', 'Images may hold files with ACLs.'],
    ['EXT4_FS_SECURITY', 'y', 'File capabilities of programs in images (ping).'],
  ]),
  ...kernelOptions('recommended', 'Linux fs/Kconfig (TMPFS_XATTR, TMPFS_POSIX_ACL)', [
    ['TMPFS_XATTR', 'y', 'Attributes of files that an app keeps on tmpfs.'],
  ]),
  ...kernelOptions(['bridge-network'], `${MOBY} (generally necessary; network driver bridge)`, [
    ['VETH', 'm', 'The cable between a container and its bridge.'],
    ['BRIDGE', 'm', 'The switch that containers of one network share.'],
    ['BRIDGE_NETFILTER', 'm', 'Rules between containers on one bridge.'],
    ['NF_NAT', 'm', 'Published ports, and the way out.'],
  ]),
  ...kernelOptions(['bridge-network'], KCONFIG, [
    ['NETFILTER', 'y', 'All that follows depends on it.'],
    ['NETFILTER_ADVANCED', 'y', 'BRIDGE_NETFILTER and several matches depend on it.'],
    ['NF_CONNTRACK', 'm', 'NAT and answers to connections depend on it.'],
  ]),
  ...kernelOptions(['iptables-legacy', 'iptables-nft'], `${MOBY} (generally necessary)`, [
    ['NETFILTER_XT_MATCH_ADDRTYPE', 'm', 'Published ports answer on addresses of the device only.'],
    ['NETFILTER_XT_MATCH_CONNTRACK', 'm', 'Answers to connections pass.'],
    ['NETFILTER_XT_MARK', 'm', 'Marks of packets, for rules that are joined.'],
  ]),
  ...kernelOptions(['iptables-legacy', 'iptables-nft'], KCONFIG, [
    ['NETFILTER_XTABLES', 'm', 'The matches and targets of iptables.'],
    ['NETFILTER_XT_MATCH_COMMENT', 'm', 'CNI plugins and kube-proxy find their rules again by comment.'],
    ['NETFILTER_XT_MATCH_MULTIPORT', 'm', 'The CNI plugin portmap lists ports with it.'],
    ['NETFILTER_XT_NAT', 'm', 'SNAT and DNAT.'],
    ['NETFILTER_XT_TARGET_MASQUERADE', 'm', 'The way out.', { since: '5.2' }],
  ]),
  ...kernelOptions(['iptables-legacy'], `${MOBY} (generally necessary)`, [
    ['IP_NF_FILTER', 'm', 'The table filter.'],
    ['IP_NF_MANGLE', 'm', 'The table mangle.'],
    ['IP_NF_RAW', 'm', 'The table raw: direct access to containers is dropped there.'],
    ['IP_NF_NAT', 'm', 'The table nat.'],
    ['IP_NF_TARGET_MASQUERADE', 'm', 'The way out.'],
    ['NF_NAT_IPV4', 'm', 'NAT of IPv4.', { until: '5.2' }],
    ['NF_NAT_NEEDED', 'y', 'NAT of connections.', { until: '5.3' }],
  ]),
  ...kernelOptions(['iptables-legacy'], KCONFIG, [
    ['IP_NF_IPTABLES', 'm', 'The tables depend on it.'],
    ['IP_NF_TARGET_REJECT', 'm', 'Refused instead of silently dropped.'],
  ]),
  ...kernelOptions(
    ['iptables-legacy'],
    'Linux 6.17 net/netfilter/Kconfig: legacy tables can be left out, not with PREEMPT_RT',
    [['NETFILTER_XTABLES_LEGACY', 'y', 'The legacy tables depend on it.', { since: '6.17' }]],
  ),
  ...kernelOptions(['iptables-nft', 'nftables'], `${MOBY} (optional features)`, [
    ['NF_TABLES', 'm', 'nftables itself.'],
    ['NFT_CT', 'm', 'Answers to connections pass.'],
    ['NFT_MASQ', 'm', 'The way out.'],
    ['NFT_NAT', 'm', 'Published ports.'],
  ]),
  ...kernelOptions(
    ['iptables-nft'],
    'Linux 6.12 net/netfilter/Kconfig: NFT_COMPAT, matches and targets of iptables in nftables',
    [['NFT_COMPAT', 'm', 'iptables-nft uses the matches of iptables through it.']],
  ),
  ...kernelOptions(['nftables'], `${MOBY} (optional features)`, [
    ['NFT_FIB', 'm', 'Whether an address is one of the device.'],
    ['NFT_FIB_IPV4', 'm', 'Whether an address is one of the device.'],
    ['NFT_FIB_IPV6', 'm', 'Whether an address is one of the device.'],
  ]),
  ...kernelOptions(['nftables'], 'netavark 00c823457276 src/firewall/nft.rs: a table of family inet with fib rules', [
    ['NF_TABLES_INET', 'y', 'One table for IPv4 and IPv6.'],
    ['NFT_FIB_INET', 'm', 'Whether an address is one of the device, in such a table.'],
  ]),
  ...kernelOptions(['ipv6'], `${MOBY} (generally necessary)`, [
    ['IP6_NF_FILTER', 'm', 'The table filter of ip6tables.'],
    ['IP6_NF_MANGLE', 'm', 'The table mangle of ip6tables.'],
    ['IP6_NF_RAW', 'm', 'The table raw of ip6tables.'],
    ['IP6_NF_NAT', 'm', 'The table nat of ip6tables.'],
    ['IP6_NF_TARGET_MASQUERADE', 'm', 'The way out of IPv6 networks.'],
  ]),
  ...kernelOptions(['ipv6'], 'Linux 6.12 net/ipv6/netfilter/Kconfig (dependencies)', [
    ['IPV6', 'y', 'IPv6 itself; docker of Yocto wants the distro feature ipv6.'],
    ['IP6_NF_IPTABLES', 'm', 'The tables depend on it.'],
  ]),
  ...kernelOptions(['block-io-limits'], `${MOBY} (optional features)`, [
    ['BLK_CGROUP', 'y', 'The controller io.'],
    ['BLK_DEV_THROTTLING', 'y', 'Upper limits of rate.'],
  ]),
  ...kernelOptions(['huge-pages'], `${MOBY} (optional features)`, [['CGROUP_HUGETLB', 'y', 'The controller hugetlb.']]),
  ...kernelOptions(['perf'], `${MOBY} (optional features)`, [['CGROUP_PERF', 'y', 'perf counts one container.']]),
  ...kernelOptions(['user-namespaces'], `${MOBY} (optional features)`, [
    ['USER_NS', 'y', 'User ids of a container are not those of the device.'],
  ]),
  ...kernelOptions(['apparmor'], `${MOBY} (optional features)`, [
    ['SECURITY_APPARMOR', 'y', 'AppArmor; the rootfs then needs apparmor_parser.'],
  ]),
  ...kernelOptions(['selinux'], `${MOBY} (optional features)`, [['SECURITY_SELINUX', 'y', 'SELinux.']]),
  ...kernelOptions(['macvlan'], `${MOBY} (network driver macvlan)`, [
    ['MACVLAN', 'm', 'An interface of the LAN for a container.'],
    ['DUMMY', 'm', 'Networks without a parent interface.'],
  ]),
  ...kernelOptions(['ipvlan'], `${MOBY} (network driver ipvlan)`, [
    ['IPVLAN', 'm', "An address of the LAN for a container, with the device's MAC address."],
  ]),
  ...kernelOptions(['checkpoint'], 'https://criu.org/Linux_kernel', [
    ['CHECKPOINT_RESTORE', 'y', 'What CRIU reads of a process.'],
    ['UNIX_DIAG', 'm', 'State of Unix sockets.'],
    ['INET_DIAG', 'm', 'State of TCP sockets.'],
    ['INET_UDP_DIAG', 'm', 'State of UDP sockets.'],
    ['PACKET_DIAG', 'm', 'State of packet sockets.'],
    ['NETLINK_DIAG', 'm', 'State of netlink sockets.'],
  ]),
];
