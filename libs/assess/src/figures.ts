import { MiB } from '@boxship/model';

/** A number that a verdict rests on: with its source, or marked as our judgement. */
export interface Figure {
  readonly value: number;
  readonly unit: 'bytes' | 'share' | 'factor' | 'cycles' | 'years' | 'seconds';
  /** What it says. */
  readonly what: string;
  /** Where it comes from; `our judgement` says that nothing better was found. */
  readonly source: string;
}

const JUDGEMENT = 'our judgement';

/** Every threshold and assumption of `assess`. Change a device's fate here, and nowhere else. */
export const figures = {
  systemRam: {
    value: 96 * MiB,
    unit: 'bytes',
    what: 'RAM of a running system without engine and apps (systemd, journal, network, no display)',
    source: `${JUDGEMENT}: Yocto and Debian images without a display use 50 to 120 MiB`,
  },
  kernelShare: {
    value: 0.05,
    unit: 'share',
    what: 'share of the RAM that the kernel, its page tables and firmware keep',
    source: JUDGEMENT,
  },
  containerRam: {
    value: 64 * MiB,
    unit: 'bytes',
    what: 'RAM of a container whose Compose file sets no memory limit',
    source: `${JUDGEMENT}: set mem_limit, and it is not needed`,
  },
  freeRam: {
    value: 0.15,
    unit: 'share',
    what: 'share of the RAM to be left for the page cache, updates and peaks',
    source: JUDGEMENT,
  },
  displayRam: {
    value: 256 * MiB,
    unit: 'bytes',
    what: 'free RAM below which a container with a user interface is not advised',
    source: `${JUDGEMENT}: a compositor, a toolkit and its buffers`,
  },
  containerCost: {
    value: 0.1,
    unit: 'share',
    what: 'share of the RAM that the containers of an app may cost beside the app itself',
    source: JUDGEMENT,
  },
  layerExpansion: {
    value: 2.6,
    unit: 'factor',
    what: 'unpacked bytes of an image layer for each compressed one, where boxship.lock has not read it on this host',
    source: `${JUDGEMENT}; 2.06 GB from 620 MB of gzip (3.3) and 3.0 (the demo) were seen, programs without symbols give 2`,
  },
  storeOverhead: {
    value: 0.05,
    unit: 'share',
    what: 'share of the store that its file system takes',
    source: `${JUDGEMENT}: ext4 with 4 KiB blocks; boxship plan says it to the byte`,
  },
  writeAmplification: {
    value: 4,
    unit: 'factor',
    what: 'bytes that the flash writes for each byte of small synced writes of an app',
    source: `${JUDGEMENT}: journals and erase blocks; 1.1 for long sequential writes, 10 and more for a database that syncs each row`,
  },
  life: {
    value: 10,
    unit: 'years',
    what: 'how long the flash is to last',
    source: `${JUDGEMENT}: an industrial device`,
  },
  wornByWrites: {
    value: 0.5,
    unit: 'share',
    what: "share of the flash's endurance that apps may use",
    source: `${JUDGEMENT}: the other half is for updates, logs and a hot summer`,
  },
} as const satisfies Record<string, Figure>;

/** Program/erase cycles of a block, by kind of storage. */
export const endurance: Readonly<Record<string, Figure>> = Object.fromEntries(
  (
    [
      ['emmc', 3000, 'TLC and MLC eMMC; its data sheet or the vendor says more'],
      ['ufs', 3000, 'TLC UFS'],
      ['sd', 1000, 'SD cards sold for cameras have less, industrial ones 3000 and more'],
      ['usb', 500, 'USB sticks'],
      ['nvme', 600, 'QLC and TLC SSD'],
      ['sata', 600, 'QLC and TLC SSD'],
      ['nand', 50_000, 'SLC NAND'],
      ['nor', 100_000, 'NOR flash'],
    ] as const
  ).map(([kind, value, note]) => [
    kind,
    { value, unit: 'cycles', what: `program/erase cycles of ${kind}`, source: `${JUDGEMENT}: ${note}` },
  ]),
);
