export { describeTarget, type DiskPart, type FlashTarget, type SystemRoots } from './flash-target.ts';
export { refuseTarget, type TargetLimits } from './refuse-target.ts';
export { flashImage, type FlashImage, type FlashOptions } from './flash-image.ts';
