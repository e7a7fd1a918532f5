import { kernelOptions, withBase } from '../kernel-options.ts';

/** containerd with runc; networks are made by CNI plugins for nerdctl. */
export const containerdKernelOptions = withBase(
  [
    ...kernelOptions(
      ['bridge-network'],
      'containernetworking/plugins plugins/main/bridge/README.md (VLAN of a bridge)',
      [['BRIDGE_VLAN_FILTERING', 'y', 'The CNI plugin bridge can put containers into a VLAN.']],
    ),
    ...kernelOptions(['quota'], 'containerd docs/snapshotters; project quotas come with xfs', [
      ['XFS_FS', 'm', 'The file system that has project quotas.'],
      ['XFS_QUOTA', 'y', 'Project quotas.'],
    ]),
  ],
  ['bridge-network', 'iptables-legacy', 'ipv6'],
);
