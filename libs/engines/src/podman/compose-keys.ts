import type { ComposeKeys } from '../compose-keys.ts';
import { runComposeKeys } from '../run-units/compose-keys.ts';

/** Through Quadlet files, or systemd units that call `podman run`: the same container with both. */
export const podmanComposeKeys: ComposeKeys = {
  ...runComposeKeys,
  domainname: { refused: 'write the whole name as hostname' },
  gpus: { approximated: '`all` alone, from podman 5 on; others are refused' },
  healthcheck: { approximated: 'CMD is quoted for a shell; start_interval is refused' },
  init: { approximated: 'needs catatonit in the base image' },
  logging: { approximated: 'the drivers k8s-file, journald, none, passthrough; others are refused' },
  networks: {
    approximated:
      'drivers bridge, macvlan, ipvlan; link_local_ips, attachable, aux_addresses and options of ipam are refused',
  },
  read_only: { approximated: '/run, /tmp and /var/tmp are writable, in memory' },
  runtime: { refused: 'set it in containers.conf of the base image' },
  storage_opt: { refused: 'podman has no such option for a container' },
};
