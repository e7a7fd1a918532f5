import { parseByteSize, UserError, type EngineSettings, type Problem } from '@boxship/model';
import type { YamlFile } from '../yaml-file.ts';

/** `engine.settings` of boxship.yaml after JSON Schema said that it has this shape. */
export interface EngineSettingsYaml {
  logs?: { maxSize: string; maxFiles: number };
  liveRestore?: boolean;
  addressPools?: { base: string; size: number }[];
  insecureRegistries?: string[];
  mirrors?: Record<string, string[]>;
}

/** Values that are left out stay the engine's own. Problems: BAD_SIZE, BAD_ADDRESS_POOL. */
export function engineSettingsOf(
  yaml: YamlFile,
  engine: string | { settings?: EngineSettingsYaml } | undefined,
  problems: Problem[],
): EngineSettings {
  const raw = (typeof engine === 'object' && engine.settings) || {};
  const at = (...path: (string | number)[]) => yaml.locate(['engine', 'settings', ...path]);
  raw.addressPools?.forEach(({ base, size }, i) => {
    const [address = '', prefix] = base.split('/');
    const bits = address.includes(':') ? 128 : 32;
    if (size < Number(prefix) || size > bits || Number(prefix) > bits) {
      problems.push({
        code: 'BAD_ADDRESS_POOL',
        message: `networks of /${size} cannot be cut out of ${base}`,
        hint: `The size is a prefix between that of the base and ${bits}, as { base: 10.200.0.0/16, size: 24 }.`,
        where: at('addressPools', i),
      });
    }
  });
  let logs: EngineSettings['logs'];
  if (raw.logs) {
    try {
      logs = { maxBytes: parseByteSize(raw.logs.maxSize), maxFiles: raw.logs.maxFiles };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push({ ...error.problems[0]!, where: at('logs', 'maxSize') });
    }
  }
  return {
    ...(logs ? { logs } : {}),
    ...(raw.liveRestore === undefined ? {} : { liveRestore: raw.liveRestore }),
    addressPools: raw.addressPools ?? [],
    insecureRegistries: raw.insecureRegistries ?? [],
    mirrors: raw.mirrors ?? {},
  };
}
