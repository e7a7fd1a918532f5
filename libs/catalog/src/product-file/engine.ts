import type { VariantEngine } from '@boxship/model';
import type { ProductYaml } from './product-yaml.ts';

export function engineOf({ engine = 'docker' }: ProductYaml): VariantEngine {
  if (typeof engine === 'string') return { name: engine };
  const { name, start = 'auto' } = engine;
  return { name, ...(start === 'auto' ? {} : { start }) };
}
