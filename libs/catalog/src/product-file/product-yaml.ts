import type { AppStart, ReleaseDocument } from '@boxship/model';
import type { EngineSettingsYaml } from './engine-settings.ts';
import type { YoctoYaml } from './yocto.ts';

/** boxship.yaml after JSON Schema said that it has this shape. */
export interface ProductYaml {
  product: string;
  version: string;
  machines: Record<string, string | MachineYaml>;
  engine?: string | EngineYaml;
  apps: Record<string, AppYaml>;
  images?: Record<string, { from: string }>;
  variants: Record<string, { extends?: string; apps?: string[]; engine?: string | EngineYaml; machines?: string[] }>;
  artifacts?: ArtifactsYaml;
  documents?: ReleaseDocument[];
  store?: { size?: string | number; reserve?: string };
  data?: { size?: string | number };
  yocto?: YoctoYaml;
  signing?: { key: string; publicKey?: string; passwordEnvironment?: string; certificate?: string };
}

/** Names of formats, or one with its options. */
export type ArtifactsYaml = (string | Record<string, Record<string, unknown>>)[];

export interface EngineYaml {
  name: string;
  start?: 'auto' | AppStart;
  imageStore?: string;
  namespace?: string;
  discardUnpackedLayers?: boolean;
  images?: string[];
  settings?: EngineSettingsYaml;
}

export interface AssembledBaseYaml {
  rootfs: string;
  wks: string;
  files?: Record<string, string>;
  variables?: Record<string, string | number>;
}

export interface MachineYaml {
  engine?: string | EngineYaml;
  recipe?: string;
  storage?: string | number;
  base?: string | { url: string; sha256: string } | AssembledBaseYaml;
  platform?: string;
  rootfs?: { partition?: number; name?: string };
  artifacts?: ArtifactsYaml;
}

export interface AppYaml {
  compose?: string | string[];
  quadlet?: string;
  kubernetes?: string;
  environment?: Record<string, string | number | boolean>;
  envFile?: string;
  profiles?: string[];
  secrets?: Record<string, { file?: string; credential?: string; bake?: true }>;
  console?: boolean;
}
