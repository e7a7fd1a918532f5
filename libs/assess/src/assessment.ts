import type { KernelFeature, KernelOption } from '@boxship/engines';

/** How a subject stands: `bad` decides the verdict, `caution` wants a look, `unknown` could not be told. */
export type Standing = 'good' | 'caution' | 'bad' | 'unknown';

export type Subject = 'processor' | 'kernel' | 'system' | 'memory' | 'flash' | 'wear' | 'boot';

/** One thing that was looked at. */
export interface Check {
  readonly subject: Subject;
  readonly standing: Standing;
  /** What was found, with its numbers. */
  readonly finding: string;
  /** What to do about it. */
  readonly advice?: string;
  /** A `bad` that a build of the base image can mend; hardware cannot be. */
  readonly mendable?: boolean;
}

/** RAM in bytes, of the smallest model. */
export interface MemoryBudget {
  readonly total: number;
  readonly kernel: number;
  readonly system: number;
  readonly engine: number;
  /** What the containers cost beside their apps. */
  readonly containers: number;
  readonly apps: number;
  /** Of `apps`: assumed, because the Compose file sets no limit. */
  readonly assumed: number;
  /** What is left; negative when it does not fit. */
  readonly free: number;
  /** What is to be left. */
  readonly wanted: number;
}

/** Flash in bytes, of the smallest model. */
export interface FlashBudget {
  readonly total?: number;
  /** The vendor's image; absent when no base image was read. */
  readonly base?: number;
  readonly bundle?: { readonly bytes: number; readonly exact: boolean };
  readonly store?: number;
  readonly data: number;
  readonly free?: number;
  /** What apps may write in a day so that the flash lasts. */
  readonly writesPerDay?: number;
}

export interface BootEstimate {
  /** Seconds that the engine and the containers add, on a fast and on a slow device. */
  readonly engine: readonly [fast: number, slow: number];
  readonly containers: readonly [fast: number, slow: number];
}

export interface MissingKernelOption extends Pick<KernelOption, 'symbol' | 'want' | 'why' | 'source'> {
  readonly need: 'required' | 'recommended' | KernelFeature;
}

/** What another engine would cost on the same machine. */
export interface EngineComparison {
  readonly name: string;
  readonly memory?: number;
  readonly free?: number;
  /** Of its kernel options, when the configuration is known. */
  readonly missingRequired?: number;
  readonly fits: boolean;
  readonly strength: string;
}

export type Target = 'on-target' | 'development-only' | 'not-here';

export interface Verdict {
  /** `on-target`: containers run on the device; `development-only`: build and test with them, ship without; `not-here`. */
  readonly target: Target;
  /** What to change for another verdict, when hardware is no obstacle: the base image, or the engine of the product file. */
  readonly mend?: 'base' | 'engine';
  /** `headless`: no container with a user interface. */
  readonly headless: boolean;
  readonly shape: 'microservices' | 'monolithic';
  readonly engine: string;
  /** Why, in sentences. */
  readonly reasons: readonly string[];
}

/** The answer for one variant on one machine. Plain JSON: `boxship assess --json` prints it. */
export interface Assessment {
  readonly product: string;
  readonly version: string;
  readonly variant: string;
  readonly machine: {
    readonly name: string;
    readonly platform: string;
    readonly recipe?: string;
    readonly description?: string;
  };
  readonly engine: string;
  readonly services: number;
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  readonly kernel?: {
    readonly from: string;
    readonly version?: string;
    readonly missing: readonly MissingKernelOption[];
  };
  readonly memory?: MemoryBudget;
  readonly flash: FlashBudget;
  readonly boot: BootEstimate;
  readonly engines: readonly EngineComparison[];
  /** What could not be known, and how to tell it. */
  readonly unknown: readonly string[];
  /** Numbers that the verdict rests on. */
  readonly assumptions: readonly { readonly what: string; readonly value: string; readonly source: string }[];
}
