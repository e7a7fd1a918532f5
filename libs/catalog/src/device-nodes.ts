import {
  DEVICE_CLASSES,
  UserError,
  deviceClassPlace,
  type App,
  type DeviceClass,
  type Problem,
  type Variant,
} from '@boxship/model';
import type { Machine } from './product.ts';
import { findRecipe } from './recipe.ts';

/**
 * Device nodes of a machine for the classes that apps ask for. Errors: NO_DEVICES for a machine without a recipe,
 * NO_DEVICE_CLASS for what the machine does not have; each names the service and the machine.
 */
export function deviceNodesFor(machine: Machine, apps: readonly App[]): Variant['machine']['devices'] {
  const devices = machine.recipe === undefined ? undefined : findRecipe(machine.recipe)?.devices;
  const found: Partial<Record<DeviceClass, readonly string[]>> = {};
  const problems: Problem[] = [];
  for (const { service, wanted } of apps.flatMap(({ services }) =>
    services.flatMap((service) => (service.deviceClasses ?? []).map((wanted) => ({ service, wanted }))),
  )) {
    const rules = devices?.[wanted];
    if (rules && rules.length > 0) {
      found[wanted] = rules.flatMap(({ nodes }) => nodes ?? []); // interfaces (CAN) come with the network of the machine
      continue;
    }
    const places = {
      where: service.keyPlaces?.[deviceClassPlace(wanted)] ?? service.where,
      also: [{ what: `the machine "${machine.name}"`, where: machine.where }],
    };
    problems.push(
      devices
        ? {
            code: 'NO_DEVICE_CLASS',
            message: `the service "${service.name}" asks for ${wanted}, which the machine "${machine.name}" does not have`,
            hint: `It has: ${DEVICE_CLASSES.filter((name) => (devices?.[name].length ?? 0) > 0).join(', ')}.`,
            ...places,
          }
        : {
            code: 'NO_DEVICES',
            message: `the service "${service.name}" asks for ${wanted}, and nothing is known of the devices of "${machine.name}"`,
            hint: 'Name its recipe (recipe: …), or list the nodes under "devices" of the service.',
            ...places,
          },
    );
  }
  if (problems.length > 0) throw new UserError(problems);
  const used = DEVICE_CLASSES.filter((name) => found[name]);
  return used.length === 0 ? undefined : Object.fromEntries(used.map((name) => [name, found[name]!]));
}

/** The app with the device nodes of the variant's machine for each service that asks for some. */
export function grantDevices(app: App, { machine }: Variant): App {
  const services = app.services.map((service) => {
    const nodes = (service.deviceClasses ?? []).flatMap((wanted) => machine.devices?.[wanted] ?? []);
    return nodes.length === 0 ? service : { ...service, deviceNodes: nodes };
  });
  return { ...app, services };
}
