import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { existsIn, firewallFeatures, kernelFeatures, missingOptions, wantedOptions } from './kernel-options.ts';
import { engines } from './registry.ts';

const tables = Object.values(engines).map(({ name, kernelOptions }) => [name, kernelOptions] as const);
const all = tables.flatMap(([, { options }]) => options);

describe.each(tables)('the kernel table of %s', (_engine, table) => {
  it('has each symbol once, and a sentence and a source for it', () => {
    const symbols = table.options.map(({ symbol }) => symbol);
    expect(symbols.filter((symbol, i) => symbols.indexOf(symbol) !== i)).toEqual([]);
    for (const { symbol, why, source } of table.options) {
      expect(symbol).toMatch(/^[A-Z][A-Z0-9_]+$/);
      expect(why, symbol).toMatch(/^\S.*\.$/);
      expect(source, symbol).toMatch(/\w/);
    }
  });

  it('names only features that exist, and each of them has an option', () => {
    const used = new Set(table.options.flatMap(({ need }) => (typeof need === 'string' ? [] : need)));
    for (const feature of used) expect(kernelFeatures).toHaveProperty(feature);
    // some of a feature's options may be required by this engine anyway
    for (const feature of table.defaultFeatures)
      expect(wantedOptions(table, { features: [feature] }).length).toBeGreaterThan(0);
    expect(table.defaultFeatures.filter((feature) => firewallFeatures.includes(feature))).toHaveLength(1);
  });

  it('misses nothing where all is on, everything where nothing is', () => {
    const wanted = wantedOptions(table, { version: '6.6' });
    const full = Object.fromEntries(wanted.map(({ symbol, want }) => [symbol, want]));
    expect(missingOptions(table, full, { version: '6.6' })).toEqual({ required: [], recommended: [], features: [] });
    const nothing = missingOptions(table, {});
    expect(nothing.required).toEqual(table.options.filter(({ need }) => need === 'required'));
    expect(nothing.features.map(({ feature }) => feature).sort()).toEqual([...table.defaultFeatures].sort());
  });
});

describe('the options that a kernel lacks', () => {
  const docker = engines.docker.kernelOptions;
  const on = (features: readonly (keyof typeof kernelFeatures)[], version = '6.6') =>
    Object.fromEntries(wantedOptions(docker, { features, version }).map(({ symbol, want }) => [symbol, want]));

  it('are none of the firewall when it can be written another way', () => {
    const lacking = (config: Record<string, string>) => missingOptions(docker, config, { version: '6.6' }).features;
    expect(lacking(on(['bridge-network', 'iptables-nft', 'ipv6']))).toEqual([]);
    expect(lacking(on(['bridge-network', 'nftables', 'ipv6']))).toEqual([]);
    expect(lacking(on(['bridge-network', 'ipv6'])).map(({ feature }) => feature)).toEqual(['iptables-legacy']);
  });

  it('depend on the version of the kernel', () => {
    const legacy = on(['bridge-network', 'iptables-legacy', 'ipv6']);
    const lacking = (version: string) =>
      missingOptions(docker, legacy, { version }).features.flatMap(({ missing }) =>
        missing.map(({ symbol }) => symbol),
      );
    expect(lacking('6.12.9-imx')).toEqual([]);
    expect(lacking('6.18.2')).toEqual(['NETFILTER_XTABLES_LEGACY']);
    expect(lacking('5.2')).toEqual(['NF_NAT_NEEDED']);
    expect(on([], '4.14')).not.toHaveProperty('CGROUP_BPF');
  });

  it('is not fooled by names that every object has', () => {
    const strange = [{ ...docker.options[0]!, symbol: 'constructor' }];
    expect(missingOptions({ ...docker, options: strange }, {}).required).toHaveLength(1);
  });
});

/** Symbols that no configuration of Debian can show, each with its reason. */
const UNSEEN: Readonly<Record<string, string>> = {
  NETFILTER_XTABLES_LEGACY: 'since Linux 6.17, after trixie',
  NF_NAT_IPV4: 'until Linux 5.1',
  NF_NAT_NEEDED: 'until Linux 5.2',
  INET_XFRM_MODE_TRANSPORT: 'until Linux 5.3',
};

/** Where `tools/setup/debian-tools.mjs` unpacks Linux 6.12 as Debian 13 configures it: what is off stands there as well. */
const file = join(
  process.env['BOXSHIP_TEST_CACHE'] || join(homedir(), '.cache', 'boxship-test'),
  'tools/linux-config-6.12-trixie/usr/src/linux-config-6.12/config.amd64_none_amd64.xz',
);
const missing = !existsSync(file);

describe("a real kernel's configuration", () => {
  if (missing) {
    it('is there', (context) => {
      const hint = 'run node tools/setup/debian-tools.mjs linux-config-6.12/trixie';
      if (process.env['CI'] === 'true') throw new Error(`${file} is missing: ${hint}`);
      context.skip(hint);
    });
  }

  it.skipIf(missing)('knows every symbol (none is misspelt), and lacks nothing that any engine wants', () => {
    const text = execFileSync('xz', ['-dc', file], { maxBuffer: 64 * 1024 * 1024, encoding: 'utf8' });
    const known = new Set([...text.matchAll(/^(?:# )?CONFIG_(\w+)[ =]/gm)].map((match) => match[1]));
    expect(known.size).toBeGreaterThan(5000);
    const symbols = [...new Set(all.map(({ symbol }) => symbol))];
    expect(symbols.filter((symbol) => !known.has(symbol)).sort()).toEqual(Object.keys(UNSEEN).sort());
    expect(all.filter((option) => !existsIn(option, '6.12')).every(({ symbol }) => symbol in UNSEEN)).toBe(true);

    // Debian ships every engine: the tables do not ask for what its kernel has not got
    const lines = [...text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)];
    const config = Object.fromEntries(lines.map((match) => [match[1]!, match[2]!]));
    for (const [engine, table] of tables) {
      const found = missingOptions(table, config, { version: '6.12' });
      expect(found, engine).toEqual({ required: [], recommended: [], features: [] });
    }
  });
});
