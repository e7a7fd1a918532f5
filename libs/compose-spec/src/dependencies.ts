import type { Service } from '@boxship/model';
import { findPortConflict } from './ports.ts';
import type { Report } from './report.ts';

/** Reports services that wait for each other in a circle. */
export function checkCycles(services: readonly Service[], report: Report): void {
  const byName = new Map(services.map((service) => [service.name, service]));
  const state = new Map<string, 'open' | 'done'>();
  const visit = (service: Service, path: readonly string[]): void => {
    if (state.get(service.name) === 'done') return;
    if (state.get(service.name) === 'open') {
      const circle = [...path.slice(path.indexOf(service.name)), service.name].join(' -> ');
      report.error('DEPENDENCY_CYCLE', service.where, `services wait for each other: ${circle}`, 'Remove one of the dependencies.'); // prettier-ignore
      return;
    }
    state.set(service.name, 'open');
    for (const dependency of service.dependsOn) {
      const next = byName.get(dependency.service);
      if (next) visit(next, [...path, service.name]);
    }
    state.set(service.name, 'done');
  };
  for (const service of services) visit(service, []);
}

/** Reports container names that two services have, and ports of the device that two services claim. */
export function checkClashes(
  services: readonly Service[],
  containers: ReadonlyMap<string, string>,
  report: Report,
): void {
  const owners = new Map<string, string>();
  services.forEach((service, index) => {
    const container = containers.get(service.name)!;
    const owner = owners.get(container);
    if (owner !== undefined) {
      report.error('DUPLICATE_CONTAINER', service.where, `the services "${owner}" and "${service.name}" are both named "${container}"`, 'Change container_name.'); // prettier-ignore
    }
    owners.set(container, service.name);
    const earlier = services.slice(0, index + 1).flatMap((other) => other.ports.map((port) => ({ other, port })));
    for (const port of service.ports) {
      const clash = earlier.find(({ port: other }) => other !== port && findPortConflict(other, port));
      // within one service both mappings would tell of each other: the later one does
      if (!clash || (clash.other === service && service.ports.indexOf(clash.port) > service.ports.indexOf(port)))
        continue;
      const ports = findPortConflict(clash.port, port)!;
      report.error('PORT_CONFLICT', service.where, `the port ${ports} of the device is published by "${clash.other.name}" and by "${service.name}"`, 'Publish another port.'); // prettier-ignore
    }
  });
}
