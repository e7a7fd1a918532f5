import { logIn, startMachine } from '@boxship/boot';
import { describe, expect, it } from 'vitest';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';

// The sample base image is the input of every other whole-product test: it works as its vendor meant before we touch it.

const MINUTE = 60_000;

describe('the sample base image', () => {
  it('boots through UEFI and its own boot loader to a running docker, on a disk larger than itself', async () => {
    const { image } = await buildBaseImage();
    const machine = await startMachine({ image, firmware: 'uefi', diskSize: 1024 ** 3 });
    try {
      const shell = await logIn(machine.console, 10 * MINUTE);
      expect((await shell.run('systemctl is-system-running --wait', 10 * MINUTE)).output).toBe('running');
      const info = await shell.must('docker info --format "{{.Driver}} cgroup v{{.CgroupVersion}}"', 5 * MINUTE);
      expect(info).toBe('overlay2 cgroup v2');
      expect(await shell.must('cat /sys/class/block/vda/size')).toBe(String(1024 ** 3 / 512));
      expect(await shell.must('ls /sys/class/net | grep -v -e lo -e docker0 | wc -l')).toBe('0');
      expect(await shell.must('wc -c </etc/machine-id')).toBe('33');
      machine.console.type('systemctl poweroff\n');
      await machine.ended(5 * MINUTE);
    } finally {
      await machine.stop();
    }
  });
});
