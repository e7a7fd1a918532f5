import { UserError, type App, type Location, type Problem } from '@boxship/model';

/** Log drivers of `podman run` (podman-run(1), "--log-driver"). */
const LOG_DRIVERS = ['k8s-file', 'journald', 'none', 'passthrough'];
/** Drivers of `podman network create` (podman-network-create(1), "--driver"). */
const NETWORK_DRIVERS = ['bridge', 'macvlan', 'ipvlan'];

/**
 * Refuses what docker has and podman has no word for: to leave it out would change what the app does. All of it at once.
 * Errors: NOT_FOR_ENGINE.
 */
export function checkPodmanWords(app: App): void {
  const problems: Problem[] = [];
  const refuse = (where: Location, what: string, hint: string) =>
    problems.push({ code: 'NOT_FOR_ENGINE', message: `${what}, which podman does not have`, hint, where });
  for (const { name, where, settings, networks } of app.services) {
    const driver = settings.logging?.driver;
    if (driver !== undefined && !LOG_DRIVERS.includes(driver)) {
      refuse(where, `the service "${name}" asks for the log driver "${driver}"`, `Leave it out, or take one of: ${LOG_DRIVERS.join(', ')}.`); // prettier-ignore
    }
    if (settings.domainname !== undefined) {
      refuse(where, `the service "${name}" has a "domainname"`, 'Write the whole name as its "hostname".');
    }
    if (settings.storageOpt !== undefined) {
      refuse(where, `the service "${name}" has a "storage_opt"`, 'Leave it out.');
    }
    if (settings.runtime !== undefined) {
      refuse(where, `the service "${name}" has a "runtime" for itself`, 'Set it in containers.conf of the base image.');
    }
    if (networks.some(({ linkLocalIps }) => (linkLocalIps ?? []).length > 0)) {
      refuse(where, `the service "${name}" has "link_local_ips"`, 'Leave them out.');
    }
  }
  const file = { file: app.composeFile };
  for (const { name, external, driver, attachable, ipam } of app.networks) {
    if (external) continue;
    if (driver !== undefined && !NETWORK_DRIVERS.includes(driver)) {
      refuse(file, `the network "${name}" has the driver "${driver}"`, `Take one of: ${NETWORK_DRIVERS.join(', ')}.`);
    }
    if (attachable) refuse(file, `the network "${name}" is "attachable"`, 'Leave it out: any container can join.');
    if (Object.keys(ipam?.options ?? {}).length > 0 || ipam?.pools.some(({ auxAddresses }) => Object.keys(auxAddresses).length > 0)) {
      refuse(file, `the network "${name}" has "aux_addresses" or "options" in its "ipam"`, 'Leave them out.');
    }
  }
  if (problems.length > 0) throw new UserError(problems);
} // prettier-ignore
