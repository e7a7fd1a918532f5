import { K3S, kernelOptions, withBase } from '../kernel-options.ts';

/** k3s: its own containerd, flannel over VXLAN, kube-proxy with iptables, network policies by kube-router. */
export const k3sKernelOptions = withBase(
  [
    ...kernelOptions('required', `${K3S} (generally necessary)`, [
      ['CGROUP_PIDS', 'y', 'The kubelet does not start without the controller pids.'],
      ['SECCOMP', 'y', 'The default profile of pods.'],
      ['SECCOMP_FILTER', 'y', 'The default profile of pods.'],
      ['VETH', 'm', 'The cable between a pod and its bridge.'],
      ['BRIDGE', 'm', 'The switch cni0 that pods of one machine share.'],
      ['BRIDGE_NETFILTER', 'm', 'Services reach pods of the same machine.'],
      ['NETFILTER_XT_MATCH_ADDRTYPE', 'm', 'kube-proxy: node ports.'],
      ['NETFILTER_XT_MATCH_CONNTRACK', 'm', 'kube-proxy: answers to connections pass.'],
      ['NETFILTER_XT_MATCH_COMMENT', 'm', 'kube-proxy finds its rules again by comment.'],
      ['NETFILTER_XT_MATCH_MULTIPORT', 'm', 'Host ports of pods.'],
      ['NETFILTER_XT_MATCH_STATISTIC', 'm', 'kube-proxy chooses a pod at random.'],
      ['NF_NAT', 'm', 'Services are addresses that are translated.'],
    ]),
    ...kernelOptions('required', 'Linux 6.12 net/netfilter/Kconfig (dependencies of the above)', [
      ['NETFILTER', 'y', 'All rules depend on it.'],
      ['NETFILTER_ADVANCED', 'y', 'BRIDGE_NETFILTER and several matches depend on it.'],
      ['NETFILTER_XTABLES', 'm', 'The matches and targets of iptables.'],
      ['NF_CONNTRACK', 'm', 'NAT and answers to connections depend on it.'],
      ['NF_CT_NETLINK', 'm', 'kube-proxy forgets connections to pods that are gone (conntrack).'],
    ]),
    ...kernelOptions('recommended', `${K3S} (network driver overlay)`, [
      ['VXLAN', 'm', "flannel's network between machines, set up on a single machine too."],
    ]),
    ...kernelOptions(['network-policy'], `${K3S} (optional features); kube-router pkg/controllers/netpol`, [
      ['IP_SET', 'm', 'Sets of pod addresses.'],
      ['IP_SET_HASH_IP', 'm', 'Sets of pod addresses.'],
      ['IP_SET_HASH_NET', 'm', 'Sets of networks.'],
      ['NETFILTER_XT_SET', 'm', 'Rules that look into such sets.'],
      ['NETFILTER_XT_MATCH_LIMIT', 'm', 'Rate of what is logged.'],
      ['NETFILTER_XT_TARGET_NFLOG', 'm', 'Dropped packets can be logged.'],
    ]),
    ...kernelOptions(['ipvs'], `${K3S} (optional features)`, [
      ['IP_VS', 'm', 'kube-proxy in IPVS mode.'],
      ['IP_VS_NFCT', 'y', 'Connections of services are tracked.'],
      ['IP_VS_PROTO_TCP', 'y', 'Services over TCP.'],
      ['IP_VS_PROTO_UDP', 'y', 'Services over UDP.'],
      ['IP_VS_RR', 'm', 'Takes turns between the pods of a service.'],
      ['NETFILTER_XT_MATCH_IPVS', 'm', 'Rules for such services; listed as necessary, and only IPVS mode uses it.'],
      ['IP_NF_TARGET_REDIRECT', 'm', 'Ports of services on the machine itself.'],
    ]),
    ...kernelOptions(['wireguard'], 'k3s docs, --flannel-backend=wireguard-native', [
      ['WIREGUARD', 'm', "flannel's encrypted network between machines.", { since: '5.6' }],
    ]),
  ],
  ['iptables-legacy', 'network-policy', 'ipv6'], // bridges and VXLAN are asked for in any case
);
