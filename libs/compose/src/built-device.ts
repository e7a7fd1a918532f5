import type { DeviceFacts } from '@boxship/model';

/**
 * The device that an image of the generated layer makes, before it is built: systemd, a merged /usr, the engine's programs
 * where its recipe puts them (each engine's defaults), and the engine settings of the product, because the layer's own
 * package of them is the only one (it replaces others).
 */
export function builtDeviceFacts(): DeviceFacts {
  return {
    osRelease: {},
    init: 'systemd',
    unitDirectory: '/usr/lib/systemd/system',
    mergedUsr: true,
    selinux: false,
    apparmorParser: false,
    ostree: false,
    readOnlyRoot: false,
    engines: [],
    programs: {},
  };
}
