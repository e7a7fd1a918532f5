import { MOBY, kernelOptions, withBase } from '../kernel-options.ts';

/** dockerd makes its bridge and its rules when it starts, and stops when it cannot. */
export const dockerKernelOptions = withBase(
  [
    ...kernelOptions(['ipvs'], `${MOBY} (NETFILTER_XT_MATCH_IPVS is listed as necessary, and only swarm uses it)`, [
      ['IP_VS', 'm', 'Services of a swarm are balanced in the kernel.'],
      ['IP_VS_NFCT', 'y', 'Connections of such services are tracked.'],
      ['IP_VS_PROTO_TCP', 'y', 'Services over TCP.'],
      ['IP_VS_PROTO_UDP', 'y', 'Services over UDP.'],
      ['IP_VS_RR', 'm', 'Takes turns between the containers of a service.'],
      ['NETFILTER_XT_MATCH_IPVS', 'm', 'Rules for such services.'],
      ['IP_NF_TARGET_REDIRECT', 'm', "Ports of a swarm's routing mesh."],
    ]),
    ...kernelOptions(['overlay-network'], `${MOBY} (network driver overlay)`, [
      ['VXLAN', 'm', 'Frames between machines.'],
      ['BRIDGE_VLAN_FILTERING', 'y', 'Networks are kept apart on one bridge.'],
    ]),
    ...kernelOptions(['encrypted-overlay'], `${MOBY} (network driver overlay, encrypted)`, [
      ['CRYPTO', 'y', 'Ciphers.'],
      ['CRYPTO_AEAD', 'm', 'Authenticated encryption.'],
      ['CRYPTO_GCM', 'm', 'AES-GCM.'],
      ['CRYPTO_SEQIV', 'm', 'Initial values.'],
      ['CRYPTO_GHASH', 'm', 'The hash of GCM.'],
      ['XFRM', 'y', 'IPsec.'],
      ['XFRM_USER', 'm', 'dockerd sets the keys.'],
      ['XFRM_ALGO', 'm', 'Algorithms of IPsec.'],
      ['INET_ESP', 'm', 'Encrypted packets.'],
      ['NETFILTER_XT_MATCH_BPF', 'm', 'Finds the packets of encrypted networks.'],
      ['INET_XFRM_MODE_TRANSPORT', 'm', 'IPsec between hosts.', { until: '5.4' }],
    ]),
    ...kernelOptions(['ftp-nat'], `${MOBY} (ftp, tftp client in container)`, [
      ['NF_NAT_FTP', 'm', 'Data connections of FTP.'],
      ['NF_CONNTRACK_FTP', 'm', 'Data connections of FTP.'],
      ['NF_NAT_TFTP', 'm', 'Data connections of TFTP.'],
      ['NF_CONNTRACK_TFTP', 'm', 'Data connections of TFTP.'],
    ]),
    ...kernelOptions(['sctp'], `${MOBY} (optional features)`, [['IP_SCTP', 'm', 'SCTP ports can be published.']]),
    ...kernelOptions(['quota'], 'moby docs, storage driver overlay2: overlay2.size needs xfs with pquota', [
      ['XFS_FS', 'm', 'The file system that has project quotas for overlay2.'],
      ['XFS_QUOTA', 'y', 'Project quotas.'],
    ]),
  ],
  ['bridge-network', 'iptables-legacy', 'ipv6'],
);
