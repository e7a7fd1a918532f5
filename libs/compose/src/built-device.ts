import type { Product } from '@boxship/catalog';
import { builtEngineFacts } from '@boxship/engines';
import { plainDeviceFacts, type DeviceFacts, type Variant } from '@boxship/model';

/**
 * The device that an image of the generated layer makes, before it is built: systemd, a merged /usr, the engine's programs
 * where its recipe puts them (each engine's defaults), and the configuration that the layer has for the engine, whose package
 * is the only one of its kind there (it replaces others). A product without a section for Yocto says nothing of the engine.
 */
export function builtDeviceFacts({ yocto, engineSettings }: Product, { engine, machine }: Variant): DeviceFacts {
  const options = { platform: machine.platform, settings: engineSettings, engine };
  return { ...plainDeviceFacts(), engines: yocto ? [builtEngineFacts(yocto.release, options)] : [] };
}
