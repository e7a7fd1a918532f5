import { UserError, type App, type DeviceFacts, type Location, type Problem } from '@boxship/model';

/** Log drivers of `podman run` (podman-run(1), "--log-driver"). */
const LOG_DRIVERS = ['k8s-file', 'journald', 'none', 'passthrough'];
/** Drivers of `podman network create` (podman-network-create(1), "--driver"). */
const NETWORK_DRIVERS = ['bridge', 'macvlan', 'ipvlan'];

/** The first podman with `--gpus` (cmd/podman/common/create.go). */
const GPUS = 5;

/**
 * Refuses what docker has and podman has no word for: to leave it out would change what the app does. All of it at once, each
 * at its key. Errors: NOT_FOR_ENGINE.
 */
export function checkPodmanWords(app: App, facts: DeviceFacts): void {
  const version = facts.engines.find(({ name }) => name === 'podman')?.version ?? '';
  const problems: Problem[] = [];
  const refuse = (where: Location, what: string, hint: string) =>
    problems.push({ code: 'NOT_FOR_ENGINE', message: `${what}, which podman does not have`, hint, where });
  for (const { name, where, keyPlaces, settings, networks, healthcheck } of app.services) {
    const refuseKey = (key: string, what: string, hint: string) =>
      refuse(keyPlaces?.[key] ?? where, `the service "${name}" ${what}`, hint);
    const driver = settings.logging?.driver;
    if (driver !== undefined && !LOG_DRIVERS.includes(driver)) {
      refuseKey('logging', `asks for the log driver "${driver}"`, `Leave it out, or take one of: ${LOG_DRIVERS.join(', ')}.`); // prettier-ignore
    }
    if (settings.domainname !== undefined) {
      refuseKey('domainname', 'has a "domainname"', 'Write the whole name as its "hostname".');
    }
    if (settings.storageOpt !== undefined) refuseKey('storage_opt', 'has a "storage_opt"', 'Leave it out.');
    if (settings.runtime !== undefined) {
      refuseKey('runtime', 'has a "runtime" for itself', 'Set it in containers.conf of the base image.');
    }
    if (networks.some(({ linkLocalIps }) => (linkLocalIps ?? []).length > 0)) {
      refuseKey('networks', 'has "link_local_ips"', 'Leave them out.');
    }
    if (healthcheck?.startInterval !== undefined) {
      refuseKey('healthcheck', 'has a "start_interval" in its "healthcheck"', 'Leave it out: "interval" counts from the start.'); // prettier-ignore
    }
    if (settings.gpus !== undefined) {
      const all = settings.gpus.every(({ count, driver: own, capabilities }) => count === -1 && own === undefined && capabilities.length === 0); // prettier-ignore
      if (!all) refuseKey('gpus', 'asks for some of the GPUs', 'Write gpus: all, or name CDI devices under "devices".');
      else if (parseInt(version) < GPUS) refuseKey('gpus', `asks for GPUs of podman ${version}`, 'Name CDI devices under "devices", or take a base image with podman 5.'); // prettier-ignore
    }
  }
  for (const { name, where = { file: app.composeFile }, external, driver, attachable, ipam } of app.networks) {
    if (external) continue;
    if (driver !== undefined && !NETWORK_DRIVERS.includes(driver)) {
      refuse(where, `the network "${name}" has the driver "${driver}"`, `Take one of: ${NETWORK_DRIVERS.join(', ')}.`);
    }
    if (attachable) refuse(where, `the network "${name}" is "attachable"`, 'Leave it out: any container can join.');
    if (Object.keys(ipam?.options ?? {}).length > 0 || ipam?.pools.some(({ auxAddresses }) => Object.keys(auxAddresses).length > 0)) {
      refuse(where, `the network "${name}" has "aux_addresses" or "options" in its "ipam"`, 'Leave them out.');
    }
  }
  if (problems.length > 0) throw new UserError(problems);
} // prettier-ignore
