import { MiB } from '@boxship/model';
import { CONTAINER_START, type EngineFootprint } from '../engine-footprint.ts';

export const containerdFootprint: EngineFootprint = {
  idle: 45 * MiB,
  perContainer: 8 * MiB,
  start: [0.5, 3],
  startContainer: [0.5, 2],
  strength: 'the smallest daemon, for those who bring their own tooling',
  sources: [
    'RAM: PSS of containerd idle on x86-64, measured: 1.6.20 38 MiB, of docker 26.1.5 45 MiB, of docker 28.5.2 40 MiB; of one containerd-shim-runc-v2 7.3 MiB',
    'start: our judgement, less than half of docker',
    CONTAINER_START,
  ],
};
