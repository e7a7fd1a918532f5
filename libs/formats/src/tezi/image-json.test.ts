/* eslint-disable @typescript-eslint/no-explicit-any -- the sample is bent in ways that no type has */
import { describe, expect, it } from 'vitest';
import type { UserError } from '@boxship/model';
import { findTeziRootfs } from './find-rootfs.ts';
import { parseImageJson } from './image-json.ts';
import { sampleImageJson, sampleNandJson } from './sample-tezi.ts';

type Json = Record<string, unknown>;

const parse = (json: unknown) => parseImageJson('image.json', JSON.stringify(json, null, 2));
const fault = (work: () => unknown): UserError => {
  try {
    work();
  } catch (error) {
    return error as UserError;
  }
  return expect.fail('no error');
};
/** Codes and messages of what is wrong with the sample after `change`. */
const faults = (change: (json: any) => void): string[] => {
  const json: Json = sampleImageJson();
  change(json);
  return fault(() => parse(json)).problems.map(({ code, message }) => `${code}: ${message}`);
};
const emmc = (json: any) => json.blockdevs[0];

describe('image.json', () => {
  it('is read with every field kept, config_format as number or string', () => {
    for (const format of [1, 2, 3, 4, 5, '1', '5']) {
      const json = { ...sampleImageJson(), config_format: format };
      const image = parse(json);
      expect(image.configFormat).toBe(Number(format));
      expect(image.json).toEqual(json);
    }
    expect(parse(sampleImageJson()).namedFiles.map(({ name }) => name)).toEqual([
      'u-boot-initial-env-sd', 'prepare.sh', 'wrapup.sh', 'marketing.tar', 'toradexlinux.png', 'boot.tar.xz', 'rootfs.tar.xz', 'imx-boot',
    ]); // prettier-ignore
    expect(parse(sampleNandJson()).namedFiles.map(({ name }) => name)).toContain('imx-boot');
  });

  it('tells all that is wrong at once, each with its place', () => {
    const text = JSON.stringify(
      { ...sampleImageJson(), name: 7, supported_product_ids: ['58'], blockdevs: [{ partitions: [{}] }] },
      null,
      2,
    );
    expect(fault(() => parseImageJson('vendor/image.json', text)).message.split('\n')).toEqual([
      'vendor/image.json:4:11: "name" is 7, it must be of the type string',
      'vendor/image.json:21:5: "supported_product_ids" has "58": a product id has four digits',
      'vendor/image.json:24:5: "blockdevs" lacks "name"',
      'vendor/image.json:26:9: "partitions" lacks "partition_size_nominal"',
    ]);
  });

  it.each<[string, (json: any) => void, RegExp]>([
    ['no name', (json) => delete json.name, /TEZI_BAD_FIELD: the image lacks "name"/],
    ['a config_format of the future', (json) => (json.config_format = '6'), /TEZI_CONFIG_FORMAT: config_format is "6"/],
    ['a config_format that is none', (json) => (json.config_format = 'two'), /config_format is "two"/],
    ['nothing to install', (json) => delete json.blockdevs, /TEZI_CONTRADICTION: .*neither "blockdevs" nor "mtddevs"/],
    ['eMMC and NAND', (json) => (json.mtddevs = [{ name: 'ubi' }]), /TEZI_CONTRADICTION: .*both/],
    ['a device with content and partitions', (json) => (emmc(json).content = {}), /"emmc" has both "partitions" and "content"/],
    ['a device with neither', (json) => delete emmc(json).partitions, /"emmc" has neither/],
    ['a negative size', (json) => (emmc(json).partitions[0].partition_size_nominal = -1), /"partition_size_nominal" is -1, less than 0/],
    ['a size that is no number', (json) => (emmc(json).partitions[0].partition_size_nominal = '1 GiB'), /that is no number/],
    ['a name outside', (json) => (json.prepare_script = '../../bin/sh'), /TEZI_UNSAFE_NAME: "\.\.\/\.\.\/bin\/sh" leads out/],
    ['an absolute name', (json) => (emmc(json).partitions[1].content.filename = '/etc/shadow'), /TEZI_UNSAFE_NAME/],
    ['a name with a line break', (json) => (json.icon = 'a\nb'), /TEZI_UNSAFE_NAME: "a\\nb"/],
    ['a filelist of another shape', (json) => (emmc(json).partitions[1].content.filelist = ['a:b']), /"a:b" is no entry of a filelist/],
    ['a filelist that leads outside', (json) => (emmc(json).partitions[1].content.filelist = ['../a:/etc/']), /TEZI_UNSAFE_NAME/],
    ['rawfile and rawfiles', (json) => (json.blockdevs[1].content.rawfile = { filename: 'imx-boot' }), /both "rawfile" and "rawfiles"/],
  ])('with %s is refused', (_what, change, expected) => expect(faults(change).join('\n')).toMatch(expected)); // prettier-ignore

  it('warns of what the named config_format does not have', () => {
    const json: any = sampleImageJson();
    emmc(json).partitions[1].content.filelist = ['prepare.sh:/etc/', 'rootfs.tar.xz:/opt/:true'];
    expect(parse(json).warnings.map(({ message }) => message)).toEqual([
      'config_format is 2, a filelist needs 3: an installer may overlook it',
    ]);
    expect(parse({ ...json, config_format: 3 }).warnings).toEqual([]);
  });
});

describe('the rootfs', () => {
  const found = (json: unknown, selector?: Parameters<typeof findTeziRootfs>[1]) => {
    const { device, partition, filename } = findTeziRootfs(parse(json), selector);
    return `${device} ${partition} ${filename}`;
  };

  it('is labelled otaroot or RFS, or is the volume rootfs of NAND, or the only ext with an archive', () => {
    expect(found(sampleImageJson())).toBe('emmc 2 rootfs.tar.xz');
    expect(found(sampleNandJson())).toBe('ubi 2 rootfs.tar.xz');
    const json: any = sampleImageJson();
    delete emmc(json).partitions[1].content.label;
    expect(found(json)).toBe('emmc 2 rootfs.tar.xz');
    emmc(json).partitions[0].content.label = 'otaroot';
    expect(found(json)).toBe('emmc 1 boot.tar.xz');
    expect(found(json, { partition: 2 })).toBe('emmc 2 rootfs.tar.xz');
    expect(found(json, { name: 'otaroot' })).toBe('emmc 1 boot.tar.xz');
  });

  it('is not guessed, and must be an archive', () => {
    const json: any = sampleImageJson();
    const [boot, root] = emmc(json).partitions;
    delete root.content.label;
    boot.content.filesystem_type = 'ext4';
    expect(fault(() => found(json)).message).toMatch(
      /^image\.json:1:1: no partition has the label otaroot or RFS, and 2 could be the rootfs; image\.json has 2 partitions:\n {2}emmc 1: ext4 labelled "BOOT", boot\.tar\.xz\n {2}emmc 2: ext4, rootfs\.tar\.xz\n/,
    );
    expect(fault(() => found(json, { name: 'none' })).code).toBe('ROOTFS_NOT_FOUND');
    root.content = { label: 'RFS', filesystem_type: 'raw', rawfiles: [{ filename: 'imx-boot' }] };
    expect(fault(() => found(json)).code).toBe('TEZI_NO_ARCHIVE');
  });
});
