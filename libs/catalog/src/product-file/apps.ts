import type { SecretSource } from '@boxship/compose-spec';
import type { Problem } from '@boxship/model';
import type { ProductApp } from '../product.ts';
import type { YamlFile } from '../yaml-file.ts';
import type { AppYaml, ProductYaml } from './product-yaml.ts';

export function appsOf(yaml: YamlFile, raw: ProductYaml, problems: Problem[]): ProductApp[] {
  return Object.entries(raw.apps).map(([name, app]) => ({
    name,
    ...sourceOf(yaml, name, app, problems),
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

type Source = Pick<ProductApp, 'compose' | 'language' | 'overrides'>;

/** Compose files, or what an engine reads itself. Problems: BAD_PRODUCT for none or several of them, NOT_FOR_APP. */
function sourceOf(yaml: YamlFile, name: string, app: AppYaml, problems: Problem[]): Source {
  const kinds = (['compose', 'quadlet', 'kubernetes'] as const).filter((kind) => app[kind] !== undefined);
  if (kinds.length !== 1) {
    problems.push({
      code: 'BAD_PRODUCT',
      message: `the app "${name}" has ${kinds.length === 0 ? 'none of compose, quadlet and kubernetes' : kinds.join(' and ')}`,
      hint: 'An app has one of: compose, a Compose file; quadlet, a folder; kubernetes, a file.',
      where: yaml.locate(kinds.length === 0 ? ['apps', name] : ['apps', name, kinds[1]!], true),
    });
  }
  const { compose = [], quadlet, kubernetes } = app;
  const native = quadlet ?? kubernetes;
  if (native !== undefined) {
    for (const key of ['environment', 'envFile', 'profiles', 'secrets', 'console'].filter((one) => one in app)) {
      problems.push({
        code: 'NOT_FOR_APP',
        message: `"${key}" is for Compose files, and the app "${name}" has ${kinds[0]}`,
        hint: 'Leave it out: such an app is shipped as it is.',
        where: yaml.locate(['apps', name, key], true),
      });
    }
    return { compose: native, language: quadlet === undefined ? 'kubernetes' : 'quadlet', overrides: [] };
  }
  const [first = '', ...overrides] = typeof compose === 'string' ? [compose] : compose;
  return { compose: first, overrides };
}
