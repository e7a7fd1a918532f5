import { MiB } from '@boxship/model';
import { CONTAINER_START, type EngineFootprint } from '../engine-footprint.ts';

export const podmanFootprint: EngineFootprint = {
  idle: 0,
  perContainer: 3 * MiB,
  start: [0, 0],
  startContainer: [0.5, 2],
  strength: 'no daemon: systemd starts each container, and nothing else stays in memory',
  sources: ['RAM: PSS of one conmon on x86-64, measured: podman 5.4.2 2.1 MiB, 5.8.6 2.2 MiB', CONTAINER_START],
};
