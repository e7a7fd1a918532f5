import type { Recipe } from '@boxship/catalog';
import type { DeviceFacts, Service } from '@boxship/model';
import type { KernelConfig } from '@boxship/filesystem';

/** Everything that is known of one variant on one machine when it is judged. What is absent is not known. */
export interface KnownFacts {
  readonly platform: string;
  readonly recipe?: Recipe;
  readonly engine: string;
  /** DISTRO_FEATURES that a Yocto build needs for it. */
  readonly distroFeatures: readonly string[];
  readonly services: readonly Service[];
  /** Bytes; given on the command line, or of the recipe, ascending. */
  readonly ram: readonly number[];
  readonly storage?: { readonly kind?: string; readonly size: number };
  /** `size`: of its disk image; absent when its installer decides. */
  readonly base?: { readonly size?: number; readonly facts: DeviceFacts };
  readonly kernel?: KernelConfig & { readonly from: string };
  /** Unpacked bytes of the image layers, each once. */
  readonly bundle?: { readonly bytes: number; readonly exact: boolean };
  readonly store: { readonly size: number | 'auto'; readonly reserve: number };
  readonly dataSize: number;
}

/** Architecture as OCI has it: `arm64` of `linux/arm64`. */
export function architectureOf(platform: string): string {
  return platform.split('/')[1] ?? '';
}
