import type { Release } from './checkouts.ts';

/**
 * Whose wic reads the files: openembedded-core's own up to whinlatter. Later releases fetch it as a recipe of its own; that of
 * whinlatter is the last before, with the same names of its plugins (`bootimg_partition`).
 */
export const WIC_OF = { scarthgap: 'scarthgap', wrynose: 'whinlatter' } as const satisfies Record<string, Release>;
