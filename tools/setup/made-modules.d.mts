import type { Plugin as EsbuildPlugin } from 'esbuild';
import type { Plugin as VitePlugin } from 'vitest/config';

export declare const madeModules: EsbuildPlugin;
export declare const madeModulesForVite: VitePlugin;
