import { exampleFacts as plain } from '@boxship/device-socket';
import type { DeviceFacts } from '@boxship/model';

export { examplePublicKey } from '@boxship/device-socket';

/** For tests: a merged, plain base with docker 20.10 and its containerd. */
export const exampleFacts: DeviceFacts = {
  ...plain,
  engines: [
    {
      name: 'docker',
      version: '20.10.24',
      program: '/usr/sbin/dockerd',
      unit: 'docker.service',
      execStart: '/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock',
      composePlugin: false,
    },
    { name: 'containerd', program: '/usr/bin/containerd', composePlugin: false },
  ],
};
