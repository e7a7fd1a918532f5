import type { SecretSource } from '@boxship/compose-spec';
import type { ProductApp } from '../product.ts';
import type { YamlFile } from '../yaml-file.ts';
import type { ProductYaml } from './product-yaml.ts';

export function appsOf(yaml: YamlFile, raw: ProductYaml): ProductApp[] {
  return Object.entries(raw.apps).map(([name, app]) => ({
    name,
    ...composeFiles(app.compose),
    environment: Object.fromEntries(Object.entries(app.environment ?? {}).map(([key, value]) => [key, String(value)])),
    ...(app.envFile === undefined ? {} : { envFile: app.envFile }),
    profiles: app.profiles ?? [],
    secrets: Object.fromEntries(
      Object.entries(app.secrets ?? {}).map(([key, given]) => [
        key,
        { source: secretSource(given), where: yaml.locate(['apps', name, 'secrets', key], true) },
      ]),
    ),
    console: app.console ?? false,
    where: yaml.locate(['apps', name], true),
  }));
}

function secretSource({ file, credential }: { file?: string; credential?: string }): SecretSource {
  if (file !== undefined) return { from: 'data', file };
  return credential === undefined ? { from: 'image' } : { from: 'credential', credential };
}

function composeFiles(compose: string | string[]): Pick<ProductApp, 'compose' | 'overrides'> {
  const [first, ...overrides] = typeof compose === 'string' ? [compose] : compose;
  return { compose: first!, overrides };
}
