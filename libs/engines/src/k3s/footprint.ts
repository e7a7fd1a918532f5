import { MiB } from '@boxship/model';
import type { EngineFootprint } from '../engine-footprint.ts';

export const k3sFootprint: EngineFootprint = {
  idle: 1588 * 1e6,
  perContainer: 9 * MiB,
  start: [20, 90],
  startContainer: [1, 5],
  strength: 'several devices that stand in for each other, or a fleet that is run with Kubernetes already',
  sources: [
    'RAM: https://docs.k3s.io/reference/resource-profiling, k3s 1.26.5, server with a workload on a Raspberry Pi 4: 1588 M (an agent alone: 268 M); each pod has a pause container beside (our judgement: 1 MiB)',
    'start: our judgement; a server with all packaged components, images at hand',
  ],
};
