import type { ComposeKeys } from '../compose-keys.ts';
import { runComposeKeys } from '../run-units/compose-keys.ts';

/** Through systemd units that call `docker run`. */
export const dockerComposeKeys: ComposeKeys = {
  ...runComposeKeys,
  healthcheck: {
    approximated: 'CMD is quoted for a shell, which docker run always uses; start_interval needs docker 25',
  },
};
