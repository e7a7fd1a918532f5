import { kernelOptions, withBase } from '../kernel-options.ts';

/** podman with crun and netavark, as meta-virtualization builds it (netavark 1.17 brings nftables along). */
export const podmanKernelOptions = withBase(
  [
    ...kernelOptions(
      'required',
      'podman 5 pkg/specgen/generate/security_linux.go; its recipe in meta-virtualization wants seccomp',
      [
        ['SECCOMP', 'y', 'The default profile is part of every container.'],
        ['SECCOMP_FILTER', 'y', 'The default profile is part of every container.'],
      ],
    ),
    ...kernelOptions(
      'required',
      'seen with podman 5.8.6 and crun 1.28 without the controller: every run ends with 126',
      [
        [
          'CGROUP_PIDS',
          'y',
          'Every container has a limit of 2048 processes unless told otherwise, and crun refuses to start it without.',
        ],
      ],
    ),
    ...kernelOptions(['user-namespaces'], 'podman docs/tutorials/rootless_tutorial.md', [
      ['USER_NS', 'y', 'User ids of a container are not those of the device.'],
      ['TUN', 'm', 'pasta and slirp4netns give a container of a plain user its network.'],
    ]),
    ...kernelOptions(['fuse'], 'containers/fuse-overlayfs README.md', [
      ['FUSE_FS', 'm', 'Overlay storage of a plain user on kernels before 5.13.'],
    ]),
    ...kernelOptions(['quota'], 'containers/storage docs/containers-storage.conf.5.md: size needs xfs with pquota', [
      ['XFS_FS', 'm', 'The file system that has project quotas for overlay.'],
      ['XFS_QUOTA', 'y', 'Project quotas.'],
    ]),
  ],
  ['bridge-network', 'nftables'],
);
