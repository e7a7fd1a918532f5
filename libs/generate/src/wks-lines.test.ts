import { describe, expect, it } from 'vitest';
import { planLayer } from './layer-plan.ts';
import { sampleProduct } from './testing/sample-layer.ts';
import { wksLines } from './wks-lines.ts';

const lines = (machine: string) => {
  const plan = planLayer(sampleProduct({ machines: `{ ${machine}: {} }` }));
  return wksLines(plan, plan.machines[0]!);
};

describe('the partitions of a machine, as wic takes them', () => {
  it('gives boot code its name and UUID in the table, sizes below a MiB, and no label where no file system is', () => {
    const [fsbl1, fsbl2] = lines('stm32mp15-disco');
    expect(fsbl1).toContain('--ondisk mmcblk --part-name fsbl1 --part-type 0x8301 --align 17 --fixed-size 256K');
    expect(fsbl2).toContain('--part-name fsbl2 --part-type 0x8301 --align 1 --fixed-size 256K');
    const fip = lines('stm32mp15-disco').filter((line) => line.includes('fip-'));
    expect(fip.map((line) => /--uuid (\S+) --part-type (\S+) .*--fixed-size (\S+)/.exec(line)?.slice(1))).toEqual([
      ['4fd84c93-54ef-463f-a7ef-ae25ff887087', '19d5df83-11b0-457b-be2c-7559c13142a5', '4M'],
      ['09c54952-d5bf-45af-acee-335303766fb3', '19d5df83-11b0-457b-be2c-7559c13142a5', '4M'],
    ]);
    expect(lines('stm32mp15-disco').filter((line) => line.includes('--label'))).toHaveLength(3);
  });

  it('takes /boot out of the rootfs and into a partition of its own', () => {
    expect(lines('zcu102-zynqmp').slice(0, 2)).toEqual([
      'part /boot --source rootfs --change-directory=boot --ondisk sda --fstype=vfat --label boot --active --use-label --align 4 --fixed-size 512M',
      'part / --source rootfs --exclude-path boot/ --ondisk sda --fstype=ext4 --label root --use-label --align 4',
    ]);
  });

  it('makes swap space from nothing', () => {
    expect(lines('genericx86-64')[2]).toBe(
      'part --ondisk sda --fstype=swap --label swap1 --part-name swap1 --align 1024 --size 44M',
    );
  });
});
