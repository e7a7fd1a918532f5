import type { Plugin as EsbuildPlugin } from 'esbuild';
import type { Plugin as VitePlugin } from 'vitest/config';

export declare const threadSources: EsbuildPlugin;
export declare const threadSourcesForVite: VitePlugin;
