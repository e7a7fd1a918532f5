import { describe, expect, it } from 'vitest';
import { UserError } from '@boxship/model';
import { parseWks, type WksOptions } from './wks.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const faults = (text: string, options?: WksOptions): string[] => {
  try {
    parseWks('a.wks', text, options);
  } catch (error) {
    if (error instanceof UserError) return error.problems.map(({ code, where, message }) => `${where?.file}:${where?.line} ${code}: ${message}`); // prettier-ignore
    throw error;
  }
  return expect.fail('no error');
};

describe('a wks file', () => {
  it('is read with comments, quotes, continued lines, includes and variables', () => {
    const wks = parseWks(
      'a.wks',
      `# comment
include common.inc
part /boot --source bootimg_efi --sourceparams="loader=systemd-boot,title=A B" --size=64 \\
   --ondisk sda # the disk
bootloader --ptable gpt --append='root=x quiet'
`,
      {
        variables: { SEEK: '32' },
        include: (name) => (name === 'common.inc' ? { file: name, text: 'part --offset ${SEEK}s --fixed-size 1G none --no-table --ondrive sda' } : undefined), // prettier-ignore
      },
    );
    expect(wks.ptable).toBe('gpt');
    expect(wks.parts).toMatchObject([
      { offset: 32 * 512, fixedSize: 1024 * MiB, inTable: false, where: { file: 'common.inc', line: 1 } },
      { mountPoint: '/boot', source: 'bootimg-efi', sourceParameters: { loader: 'systemd-boot', title: 'A B' }, size: 64 * MiB, overheadFactor: 1.3, extraSpace: 10 * MiB, where: { line: 3 } },
    ]); // prettier-ignore
    expect(parseWks('a', 'part / --align 4 --size 100k').parts[0]).toMatchObject({ align: 4096, size: 100 * KiB });
    expect(parseWks('a', 'part / --size 1M').ptable).toBe('mbr');
  });

  it('has all its mistakes told at once', () => {
    expect(
      faults(`partt / --size 1M
part / --sise 1M --exclude-path=home/
part / --size 1M --fixed-size 1M --align 0
part / --size many --overhead-factor 0.5 --uuid x
part a b --label
bootloader --ptable gpt-hybrid
include nowhere.inc
part / --align \${SEEK} --part-type 0x123 --ondisk sda
part / --ondisk sdb`),
    ).toEqual([
      'a.wks:1 WKS_BAD_LINE: "partt" is no command of a wks file',
      'a.wks:2 WKS_UNKNOWN_OPTION: --sise is no option of wic',
      'a.wks:2 WKS_NOT_DONE: --exclude-path is not done here',
      'a.wks:3 WKS_BAD_VALUE: --size and --fixed-size exclude each other',
      'a.wks:3 WKS_BAD_VALUE: --align 0 is no multiple',
      'a.wks:4 WKS_BAD_VALUE: --overhead-factor 0.5 is below 1',
      'a.wks:4 WKS_BAD_VALUE: --size many is no size',
      'a.wks:4 WKS_BAD_VALUE: --uuid x is no such number',
      'a.wks:5 WKS_BAD_LINE: "b" is no option',
      'a.wks:5 WKS_BAD_VALUE: --label has no value',
      'a.wks:6 WKS_NOT_DONE: a partition table of the kind "gpt-hybrid" is not made',
      'a.wks:7 WKS_INCLUDE: there is no file "nowhere.inc" to include',
      'a.wks:8 WKS_VARIABLE: ${SEEK} has no value',
      'a.wks:8 WKS_BAD_VALUE: --part-type 123 is neither a GUID nor a byte in hex',
      'a.wks:undefined WKS_NOT_DONE: its partitions are on 2 disks: sda, sdb',
    ]);
    expect(faults('# nothing')).toEqual(['a.wks:undefined WKS_BAD_LINE: the wks file has no partition']);
    expect(faults('part / --size 1M\nbootloader --ptable gpt --diskid 0x1234')).toEqual(['a.wks:undefined WKS_BAD_VALUE: --diskid 1234 is no GUID']); // prettier-ignore
  });

  it('that includes itself is refused', () => {
    expect(faults('include a.wks', { include: () => ({ file: 'a.wks', text: 'include a.wks' }) })).toEqual(['a.wks:1 WKS_INCLUDE: there is no file "a.wks" to include']); // prettier-ignore
  });
});
