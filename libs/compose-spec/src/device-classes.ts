import { DEVICE_CLASSES, deviceClassPlace, type DeviceClass, type Location } from '@boxship/model';
import type { Report } from './report.ts';
import { nearest } from './report.ts';
import { readKnownKeys, readTexts } from './scalar.ts';
import type { Value } from './yaml-value.ts';

export interface DeviceClasses {
  readonly classes: readonly DeviceClass[];
  /** Where each stands, by `deviceClassPlace` of it. */
  readonly places: Readonly<Record<string, Location>>;
}

/**
 * `x-boxship: { devices: [gpio, can] }` of a service: hardware by its class. Other tools skip the key, so that the file stays
 * a plain Compose file. A CAN bus is a network interface, and those of the machine are seen in its own network only.
 */
export function readDeviceClasses(
  value: Value | undefined,
  network: { readonly mode?: string | undefined; readonly where?: Location | undefined },
  report: Report,
): DeviceClasses {
  const places: Record<string, Location> = {};
  const keys = readKnownKeys(value, 'x-boxship', ['devices'], report);
  const classes = readTexts(keys.get('devices')?.value, report).flatMap(({ text, where }): DeviceClass[] => {
    const found = DEVICE_CLASSES.find((name) => name === text);
    if (!found) {
      const near = nearest(text, DEVICE_CLASSES);
      const known = `Known: ${DEVICE_CLASSES.join(', ')}; other devices go under "devices".`;
      report.error('UNKNOWN_DEVICE_CLASS', where, `there is no device class "${text}"`, near ? `Did you mean "${near}"?` : known); // prettier-ignore
    }
    if (found === 'can' && network.mode !== 'host') {
      const also = network.where ? [{ what: 'the network that it has', where: network.where }] : [];
      report.error('CONFLICT', where, 'a CAN bus is a network interface of the machine, and this service has a network of its own', 'Write "network_mode: host".', also); // prettier-ignore
    }
    if (found) places[deviceClassPlace(found)] = where;
    return found ? [found] : [];
  });
  return { classes: [...new Set(classes)].sort(), places };
}
