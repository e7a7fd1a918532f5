import { UserError, type App, type Problem, type Service } from '@boxship/model';
import { containerName } from '../run-units/run-arguments.ts';
import { VOLUMES } from './socket.ts';
import { ctrOptions } from './run-options.ts';

const NO_NETWORKS = 'Write network_mode: host (or none), or take docker or podman as the engine.';

/**
 * Refuses what docker has and `ctr run` has no word for: to leave it out would change what the app does. All of it at once.
 * Errors: NOT_FOR_ENGINE.
 */
export function checkCtrWords(app: App, version = ''): void {
  const problems: Problem[] = [];
  for (const service of app.services) {
    const { name, where, keyPlaces, settings, networkMode, entrypoint, healthcheck } = service;
    /** `what` begins with its key; a limit that is not there by its own key was written under `otherwise`. */
    const refuse = (what: string, hint: string, otherwise = '') => {
      const place = keyPlaces?.[/^[\w-]+/.exec(what)?.[0] ?? ''] ?? keyPlaces?.[otherwise] ?? where;
      problems.push({ code: 'NOT_FOR_ENGINE', message: `the service "${name}" has "${what}", which containerd's ctr does not have`, hint, where: place }); // prettier-ignore
    };
    if (networkMode !== 'host' && networkMode !== 'none') {
      refuse(networkMode === undefined ? 'networks' : `network_mode: ${networkMode}`, NO_NETWORKS);
    }
    if (service.ports.length > 0) refuse('ports', 'With network_mode: host a service listens on the device itself: leave them out.'); // prettier-ignore
    if (entrypoint !== undefined) refuse('entrypoint', 'Set it in the image; "command" is what follows it.'); // prettier-ignore
    if (healthcheck && !healthcheck.disable) refuse('healthcheck', 'Leave it out, or take docker or podman as the engine.'); // prettier-ignore
    if ((service.deviceNodes ?? []).length > 0) {
      refuse('x-boxship: devices', 'Name the device nodes under "devices".');
    }
    if (service.dependsOn.some(({ condition }) => condition === 'service_healthy')) {
      refuse('depends_on: service_healthy', 'Wait for service_started, and let the service try again.');
    }
    const id = containerName(app, service);
    // containerd pkg/identifiers
    if (!/^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$/.test(id) || id.length > 76) {
      refuse(`container_name: ${id}`, 'Take letters and digits, with single . _ - between them, at most 76.');
    }
    const tooYoung = [
      ...(isBefore(version, 1, 7) ? (['user', 'hostname'] as const) : []),
      ...(isBefore(version, 2, 0) ? (['cpuset'] as const) : []),
    ];
    for (const key of tooYoung.filter((one) => settings[one] !== undefined)) {
      refuse(key, `The base image has containerd ${version}: take one with ${key === 'cpuset' ? '2.0' : '1.7'} or later.`); // prettier-ignore
    }
    for (const { what, hint } of mountRefusals(service)) refuse(what, hint);
    for (const { what, hint } of ctrOptions(settings).refused) refuse(what, hint, 'deploy');
  }
  for (const { name, external, driverOptions } of app.volumes) {
    if (!external && Object.keys(driverOptions).length > 0) {
      problems.push({ code: 'NOT_FOR_ENGINE', message: `the volume "${name}" has "driver_opts", which containerd's ctr does not have`, hint: `It is a folder below ${VOLUMES}: leave them out.`, where: { file: app.composeFile } }); // prettier-ignore
    }
  }
  if (problems.length > 0) throw new UserError(problems);
}

function isBefore(version: string, major: number, minor: number): boolean {
  const [has = 0, minorPart = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return version !== '' && (has < major || (has === major && minorPart < minor));
}

function mountRefusals({ mounts }: Service): readonly { readonly what: string; readonly hint: string }[] {
  return mounts.flatMap((mount) => {
    if (mount.type === 'volume' && !mount.source) {
      return [{ what: `volumes: ${mount.target}`, hint: 'Give the volume a name, or take tmpfs.' }];
    }
    if (/[:]/.test(mount.target)) return [{ what: `volumes: ${mount.target}`, hint: 'Take a path without a colon.' }];
    return [];
  });
}
