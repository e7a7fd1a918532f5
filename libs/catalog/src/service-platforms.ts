import { UserError, formatPlatform, type Problem } from '@boxship/model';
import { parsePlatform } from '@boxship/oci';
import type { Product } from './product.ts';
import type { ProductApps } from './read-apps.ts';

/**
 * OTHER_PLATFORM for each service that asks for another platform than a machine that runs it has: its image is chosen for the
 * machine, and the engine there would look for another one. Names the line of the service and that of the machine.
 */
export function refuseOtherPlatforms(product: Product, apps: ProductApps): void {
  const problems = new Map<string, Problem>(); // an app is often in several variants
  for (const variant of product.variants) {
    const machines = product.machines.filter(({ name }) => variant.machines.includes(name));
    for (const { name, settings, keyPlaces, where } of variant.apps.flatMap((app) => apps.get(app)!.app.services)) {
      if (settings.platform === undefined) continue;
      const place = keyPlaces?.['platform'] ?? where;
      for (const machine of machines) {
        if (oneSpelling(settings.platform) === oneSpelling(machine.platform)) continue;
        const problem: Problem = {
          code: 'OTHER_PLATFORM',
          message: `the service "${name}" wants an image for ${settings.platform}, and the machine "${machine.name}" runs ${machine.platform}`,
          hint: 'Take "platform" out of the service, put the app into variants of other machines, or correct the machine.',
          where: place,
          also: [{ what: `the machine "${machine.name}" runs ${machine.platform}`, where: machine.platformWhere }],
        };
        problems.set(JSON.stringify([place, machine.name]), problem);
      }
    }
  }
  if (problems.size > 0) throw new UserError([...problems.values()]);
}

/** One spelling for each platform; what is none stands for itself. */
function oneSpelling(platform: string): string {
  try {
    return formatPlatform(parsePlatform(platform));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return platform;
  }
}
