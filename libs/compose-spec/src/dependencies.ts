import type { App, Location, Problem, Service } from '@boxship/model';
import { findPortConflict } from './ports.ts';
import type { Report } from './report.ts';

/** Reports services that wait for each other in a circle. */
export function checkCycles(services: readonly Service[], report: Report): void {
  const byName = new Map(services.map((service) => [service.name, service]));
  const state = new Map<string, 'open' | 'done'>();
  const visit = (service: Service, path: readonly Service[]): void => {
    if (state.get(service.name) === 'done') return;
    if (state.get(service.name) === 'open') {
      const circle = path.slice(path.indexOf(service));
      const also = circle.slice(1).map((step, index, rest) => {
        const next = rest[index + 1];
        return { what: `"${step.name}" waits for "${(next ?? service).name}"${next ? '' : ': the circle closes'}`, where: placeOf(step, 'depends_on') }; // prettier-ignore
      });
      const names = [...circle, service].map(({ name }) => name).join(' -> ');
      report.error('DEPENDENCY_CYCLE', placeOf(service, 'depends_on'), `services wait for each other: ${names}`, 'Remove one of the dependencies.', also); // prettier-ignore
      return;
    }
    state.set(service.name, 'open');
    for (const dependency of service.dependsOn) {
      const next = byName.get(dependency.service);
      if (next) visit(next, [...path, service]);
    }
    state.set(service.name, 'done');
  };
  for (const service of services) visit(service, []);
}

/** Of a key of the service, or where there is none of the service. */
function placeOf({ where, keyPlaces }: Service, key: string): Location {
  return keyPlaces?.[key] ?? where;
}

/** Compose's name for the one container of a service. */
export function containerNameOf(project: string, service: Pick<Service, 'name' | 'containerName'>): string {
  return service.containerName ?? `${project}-${service.name}-1`;
}

/** Reports container names that two services of an app have, and ports of the device that two of them claim. */
export function checkClashes(project: string, services: readonly Service[], report: Report): void {
  for (const { code, where, message, hint, also } of findClashes([{ name: project, services }])) {
    report.error(code, where!, message, hint, also);
  }
}

/**
 * Container names and ports of the device that two services claim, of one app or of two that run on one device: each with the
 * places of both. On the host's own network a service may take any port: that is not known here.
 */
export function findClashes(apps: readonly Pick<App, 'name' | 'services'>[]): readonly Problem[] {
  const all = apps.flatMap(({ name, services }) => services.map((service) => ({ app: name, service })));
  const title = ({ app, service }: (typeof all)[number]) => `"${service.name}"${apps.length > 1 ? ` of "${app}"` : ''}`;
  const problems: Problem[] = [];
  all.forEach((one, index) => {
    const { service } = one;
    const container = containerNameOf(one.app, service);
    const owner = all.slice(0, index).find((other) => containerNameOf(other.app, other.service) === container);
    if (owner) {
      problems.push({
        code: 'DUPLICATE_CONTAINER',
        where: placeOf(service, 'container_name'),
        message: `the services ${title(owner)} and ${title(one)} both have a container named "${container}"`,
        hint: 'Change container_name.',
        also: [{ what: `the container of ${title(owner)}`, where: placeOf(owner.service, 'container_name') }],
      });
    }
    service.ports.forEach((port, at) => {
      const earlier = [
        ...all.slice(0, index).flatMap((other) => other.service.ports.map((claimed) => ({ other, claimed }))),
        ...service.ports.slice(0, at).map((claimed) => ({ other: one, claimed })),
      ];
      const clash = earlier.find(({ claimed }) => findPortConflict(claimed, port));
      if (!clash) return;
      const ports = findPortConflict(clash.claimed, port)!;
      problems.push({
        code: 'PORT_CONFLICT',
        where: placeOf(service, 'ports'),
        message: `the port ${ports} of the device is published by ${title(clash.other)} and by ${title(one)}`,
        hint: 'Publish another port.',
        also: [{ what: `the ports of ${title(clash.other)}`, where: placeOf(clash.other.service, 'ports') }],
      });
    });
  });
  return problems;
}
