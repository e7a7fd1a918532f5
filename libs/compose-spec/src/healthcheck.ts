import type { Healthcheck } from '@boxship/model';
import type { Report } from './report.ts';
import {
  formatDuration,
  readBoolean,
  readDuration,
  readInteger,
  readKnownKeys,
  readScalarText,
  readText,
} from './scalar.ts';
import type { Value } from './yaml-value.ts';

/** `healthcheck` of a service; `test` starts with `CMD` or `CMD-SHELL`, and is empty when only times are set. */
export function readHealthcheck(value: Value | undefined, report: Report): Healthcheck | undefined {
  if (!value || (value.kind === 'scalar' && value.value === null)) return undefined;
  const keys = readKnownKeys(
    value,
    'healthcheck',
    ['test', 'interval', 'timeout', 'retries', 'start_period', 'start_interval', 'disable'],
    report,
  );
  const get = (key: string) => keys.get(key)?.value;
  const time = (key: string) => {
    const milliseconds = readDuration(get(key), report);
    return milliseconds === undefined ? undefined : formatDuration(milliseconds);
  };
  const test = readTest(get('test'), report);
  const disable = (readBoolean(get('disable'), report) ?? false) || test[0] === 'NONE';
  if (disable && test.length > 0 && test[0] !== 'NONE') {
    report.error(
      'CONFLICT',
      keys.get('disable')!.where,
      'the health check has a test and is disabled',
      'Remove one of them.',
    );
  }
  const [interval, timeout, startPeriod, startInterval] = [time('interval'), time('timeout'), time('start_period'), time('start_interval')]; // prettier-ignore
  const retries = readInteger(get('retries'), report, { min: 0, max: 2 ** 31 - 1 });
  if (disable) return { test: [], disable: true };
  return {
    test,
    ...(interval === undefined ? {} : { interval }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(startPeriod === undefined ? {} : { startPeriod }),
    ...(startInterval === undefined ? {} : { startInterval }),
    ...(retries === undefined ? {} : { retries }),
  };
}

function readTest(value: Value | undefined, report: Report): readonly string[] {
  if (!value || value.kind !== 'list') {
    const text = readText(value, report);
    return text === undefined ? [] : ['CMD-SHELL', text];
  }
  const words = value.items.flatMap((item) => readScalarText(item, report) ?? []);
  const [first] = words;
  const good = (first === 'NONE' && words.length === 1) || (first === 'CMD' && words.length > 1) || (first === 'CMD-SHELL' && words.length === 2); // prettier-ignore
  if (good) return words;
  report.error('BAD_HEALTHCHECK', value.where, `the test starts with "${first ?? ''}" and has ${words.length} words`, 'Write ["CMD", program, arguments…], ["CMD-SHELL", line] or ["NONE"].'); // prettier-ignore
  return [];
}
