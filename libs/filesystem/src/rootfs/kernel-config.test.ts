import { describe, expect, it } from 'vitest';
import { parseKernelConfig } from './kernel-config.ts';

describe('parseKernelConfig', () => {
  it('reads values, what is off, and what the file says of itself', () => {
    const text = `#
# Automatically generated file; DO NOT EDIT.
# Linux/arm64 6.6.52-lf-6.6.y Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="aarch64-poky-linux-gcc (GCC) 13.3.0"
CONFIG_OVERLAY_FS=m
# CONFIG_VETH is not set
CONFIG_LSM="yama,apparmor"
CONFIG_HZ=250
CONFIG_EMPTY=""
not a line of it
`;
    expect(parseKernelConfig(text)).toEqual({
      options: {
        CC_VERSION_TEXT: 'aarch64-poky-linux-gcc (GCC) 13.3.0',
        OVERLAY_FS: 'm',
        VETH: 'n',
        LSM: 'yama,apparmor',
        HZ: '250',
        EMPTY: '',
      },
      version: '6.6.52-lf-6.6.y',
      architecture: 'arm64',
    });
  });

  it('reads lines that end as on Windows, and the first lines of a defconfig', () => {
    expect(parseKernelConfig('CONFIG_A=y\r\n# CONFIG_B is not set\r\n').options).toEqual({ A: 'y', B: 'n' });
    expect(parseKernelConfig('CONFIG_A=y\n')).toEqual({ options: { A: 'y' } });
    expect(parseKernelConfig('')).toEqual({ options: {} });
  });
});
