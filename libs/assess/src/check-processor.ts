import { architectureOf, type KnownFacts } from './known-facts.ts';
import type { Check } from './assessment.ts';
import { whyNotBuilt } from './footprint-of.ts';

/** Kernel words that an OCI architecture may have: `# Linux/x86 6.1 Kernel Configuration`. */
const KERNEL_WORDS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['x86', 'x86_64'],
  386: ['x86', 'i386'],
  arm64: ['arm64'],
  arm: ['arm'],
  riscv64: ['riscv'],
};

/** Whether a kernel configuration of that word can be of the platform; true when nobody knows. */
export function isKernelOf(platform: string, word: string | undefined): boolean {
  const known = KERNEL_WORDS[architectureOf(platform)];
  return word === undefined || known === undefined || known.includes(word);
}

/** MMU, word size, page size, and whether the engine is built for it. */
export function checkProcessor({ platform, recipe, kernel, engine, base }: KnownFacts): readonly Check[] {
  const checks: Check[] = [];
  const say = (standing: Check['standing'], finding: string, advice?: string) =>
    checks.push({ subject: 'processor', standing, finding, ...(advice ? { advice } : {}) });
  const architecture = architectureOf(platform);
  const hardware = recipe?.hardware;
  const config = kernel?.options;
  const mmu = config ? isOn(config['MMU']) : hardware?.mmu;
  const is64 = config ? isOn(config['64BIT']) : hardware ? hardware.wordSize === 64 : undefined;
  if (mmu === false) say('bad', 'no MMU: no container engine runs without one', 'Ship the app natively.');
  if (is64 === false || (is64 === undefined && ['arm', '386'].includes(architecture))) {
    say('caution', `a 32-bit system (${platform}): fewer images are made for it, and a process has 3 GiB at most`, 'Check that every image has this platform (boxship lock does), and that its programs use 64-bit time: 32 bits end in 2038.');
  } else if (mmu !== false) {
    say('good', `${is64 === undefined ? platform : `${is64 ? 64 : 32} bit`}${mmu ? ', MMU' : ''}`);
  } // prettier-ignore
  const page = pageSize(config) ?? hardware?.pageSizes[0];
  if (page !== undefined && page !== '4KiB') {
    say('caution', `pages of ${page.replace('KiB', ' KiB')}: programs that were built for 4 KiB fail (jemalloc, some JITs)`, 'Test every image on the device, or take a kernel with 4 KiB pages.'); // prettier-ignore
  }
  const why = whyNotBuilt(engine, platform);
  if (why !== undefined && !base?.facts.engines.some(({ name }) => name === engine)) {
    say('bad', `${engine} cannot be built for ${platform}: ${why}`);
  }
  return checks;
}

function pageSize(config: Readonly<Record<string, string>> | undefined): string | undefined {
  if (!config) return undefined;
  for (const size of ['4', '16', '64']) {
    if (isOn(config[`ARM64_${size}K_PAGES`]) || isOn(config[`PAGE_SIZE_${size}KB`])) return `${size}KiB`;
  }
  return undefined;
}

function isOn(value: string | undefined): boolean {
  return value === 'y' || value === 'm';
}
