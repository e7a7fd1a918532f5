import { MiB } from '@boxship/model';
import { CONTAINER_START, type EngineFootprint } from '../engine-footprint.ts';

export const dockerFootprint: EngineFootprint = {
  idle: 126 * MiB,
  perContainer: 8 * MiB,
  start: [1, 8],
  startContainer: [0.5, 2],
  strength: 'what developers know; Compose files run as they are',
  sources: [
    'RAM: PSS of dockerd + containerd idle on x86-64, measured: docker 20.10.24 107 MiB, 26.1.5 126 MiB, 28.5.2 111 MiB; of one containerd-shim-runc-v2 7.3 MiB',
    'start: 0.9 to 1.5 s measured on x86-64 (docker 26.1, 28); 7.3 s on a Raspberry Pi 3 (bluerobotics/BlueOS#332)',
    CONTAINER_START,
  ],
};
