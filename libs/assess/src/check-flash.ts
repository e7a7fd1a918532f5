import { formatByteSize } from '@boxship/model';
import type { Check, FlashBudget } from './assessment.ts';
import { endurance, figures } from './figures.ts';
import type { KnownFacts } from './known-facts.ts';

const DAYS_PER_YEAR = 365;

/** Flash against the vendor's image, the store with its reserve and the data partition; and how long it lasts. */
export function checkFlash(known: KnownFacts): { readonly checks: readonly Check[]; readonly flash: FlashBudget } {
  const { base, bundle, storage, store, dataSize } = known;
  const storeSize = store.size !== 'auto' ? store.size : bundle && Math.ceil((bundle.bytes * (1 + figures.storeOverhead.value)) / (1 - store.reserve));
  const used = (base?.size ?? 0) + (storeSize ?? 0) + dataSize;
  const isWhole = base?.size !== undefined && storeSize !== undefined;
  const free = storage && isWhole ? storage.size - used : undefined;
  const cycles = storage?.kind === undefined ? undefined : endurance[storage.kind]?.value;
  const writesPerDay = storage && cycles !== undefined
    ? Math.floor((storage.size * cycles * figures.wornByWrites.value) / (figures.writeAmplification.value * figures.life.value * DAYS_PER_YEAR))
    : undefined;
  const flash: FlashBudget = {
    ...(storage ? { total: storage.size } : {}),
    ...(base?.size === undefined ? {} : { base: base.size }),
    ...(bundle ? { bundle } : {}),
    ...(storeSize === undefined ? {} : { store: storeSize }),
    data: dataSize,
    ...(free === undefined ? {} : { free }),
    ...(writesPerDay === undefined ? {} : { writesPerDay }),
  };
  const checks: Check[] = [];
  if (!storage) {
    const needed = isWhole ? `; the product wants ${formatByteSize(used)}` : '';
    checks.push({ subject: 'flash', standing: 'unknown', finding: `the size of the flash is not known${needed}` });
  } else if (used > storage.size) {
    const finding = `${formatByteSize(storage.size)} of flash are ${formatByteSize(used - storage.size)} too few for ${isWhole ? '' : 'even '}${parts(flash)}`;
    checks.push({ subject: 'flash', standing: 'bad', finding, advice: 'Smaller images (shared base layers, no build tools), fewer apps, or a larger flash.' });
  } else if (!isWhole) {
    const lacks = [...(base?.size === undefined ? ['the base image'] : []), ...(storeSize === undefined ? ['the bundle'] : [])].join(' and ');
    checks.push({ subject: 'flash', standing: 'unknown', finding: `of ${formatByteSize(storage.size)} of flash at most ${formatByteSize(storage.size - used)} are left, less ${lacks}, which ${lacks.includes(' and ') ? 'are' : 'is'} not known` });
  } else if (storage.size - used < storeSize) {
    const finding = `of ${formatByteSize(storage.size)} of flash ${formatByteSize(storage.size - used)} are left: a second store of ${formatByteSize(storeSize)} does not fit`;
    checks.push({ subject: 'flash', standing: 'caution', finding, advice: 'An update of the apps that can be rolled back needs room for a second store.' });
  } else {
    checks.push({ subject: 'flash', standing: 'good', finding: `of ${formatByteSize(storage.size)} of flash ${formatByteSize(storage.size - used)} are left` });
  }
  if (writesPerDay !== undefined) {
    checks.push({
      subject: 'wear',
      standing: 'good',
      finding: `apps may write ${formatByteSize(writesPerDay)} a day, if the flash is to last ${figures.life.value} years`,
      advice: 'Measure it: the fifth and seventh numbers of /sys/block/mmcblk0/stat. Keep logs in memory or limit them.',
    });
  } else checks.push({ subject: 'wear', standing: 'unknown', finding: 'kind and size of the flash are not known' });
  return { checks, flash };
} // prettier-ignore

function parts({ base, store, data }: FlashBudget): string {
  return [
    ...(base === undefined ? [] : [`the base image (${formatByteSize(base)})`]),
    ...(store === undefined ? [] : [`the store (${formatByteSize(store)})`]),
    `the data partition (${formatByteSize(data)})`,
  ].join(', ');
}
