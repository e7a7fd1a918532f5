/** Kinds of hardware that a service can ask for without knowing the machine; a recipe says which device nodes they are. */
export const DEVICE_CLASSES = ['gpio', 'i2c', 'spi', 'can', 'serial', 'video', 'drm', 'gpu', 'input', 'usb'] as const;

export type DeviceClass = (typeof DEVICE_CLASSES)[number];

/** Where a service asks for a class, among its `keyPlaces`. */
export function deviceClassPlace(wanted: DeviceClass): string {
  return `x-boxship.devices.${wanted}`;
}
