import type { App, Service } from '@boxship/model';
import type { Json } from './json.ts';
import { isDnsLabel, objectName } from './names.ts';
import type { Refusals } from './refusals.ts';
import { shortName } from '../../run-units/resource-units.ts';

export type Metadata = (name: string) => { readonly [key: string]: Json };

/** Labels of the pods of a service that say which networks it is in. */
export function networkLabels(app: App, service: Service): Readonly<Record<string, string>> {
  if (service.networkMode === 'none') return { 'boxship/network': 'none' };
  return Object.fromEntries(service.networks.map(({ name }) => [networkLabel(app, name), 'member']));
}

function networkLabel(app: App, network: string): string {
  return `network.boxship/${objectName(shortName(app, network))}`;
}

export function selectorOf(app: App, service: Service): Readonly<Record<string, string>> {
  return { 'app.kubernetes.io/name': service.name, 'app.kubernetes.io/part-of': app.name };
}

/**
 * Names by which the others find a service: a Service without an address of its own, so that every port can be reached, as in
 * a network of Compose. Where somebody waits for it to be healthy, its name is known only while it is.
 */
export function nameServices(app: App, service: Service, metadata: Metadata, refusals: Refusals): readonly Json[] {
  if (service.networks.length === 0) return [];
  const names = new Set([service.name, ...service.networks.flatMap(({ aliases }) => aliases), ...(service.containerName ? [service.containerName] : [])]); // prettier-ignore
  const awaited = app.services.some(({ dependsOn }) => dependsOn.some((item) => item.service === service.name && item.condition === 'service_healthy')); // prettier-ignore
  return [...names].map((name) => {
    if (!isDnsLabel(name)) refusals.refuse(service, name === service.name ? '' : 'networks', `has the name "${name}" in its networks`, 'Use lower-case letters, digits and, between them, "-".'); // prettier-ignore
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(name),
      spec: { clusterIP: 'None', publishNotReadyAddresses: !awaited, selector: selectorOf(app, service) },
    };
  });
}

/** A network of Compose is a wall: only its members reach its members, and who is in internal ones alone reaches nobody else. */
export function networkPolicies(app: App, metadata: Metadata): readonly Json[] {
  const policy = (name: string, spec: Json): Json => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: metadata(name), spec }); // prettier-ignore
  const members = (network: string) => ({ podSelector: { matchLabels: { [networkLabel(app, network)]: 'member' } } });
  const policies = app.networks.map(({ name }) =>
    policy(`network-${objectName(shortName(app, name))}`, { ...members(name), policyTypes: ['Ingress'], ingress: [{ from: [members(name)] }] }),
  ); // prettier-ignore
  for (const service of app.services) {
    const podSelector = { matchLabels: selectorOf(app, service) };
    if (service.networkMode === 'none') policies.push(policy(objectName(`none-${service.name}`), { podSelector, policyTypes: ['Ingress', 'Egress'] })); // prettier-ignore
    const isInternal = ({ name }: { readonly name: string }) => app.networks.some((one) => one.name === name && one.internal); // prettier-ignore
    if (service.networks.length > 0 && service.networks.every(isInternal)) {
      policies.push(policy(objectName(`inside-${service.name}`), { podSelector, policyTypes: ['Egress'], egress: [{ to: service.networks.map(({ name }) => members(name)) }, DNS] })); // prettier-ignore
    }
    const ports = containerPorts(service).filter((port) => port.hostPort !== undefined);
    if (ports.length > 0) {
      policies.push(policy(objectName(`ports-${service.name}`), { podSelector, policyTypes: ['Ingress'], ingress: [{ ports: ports.map(({ containerPort, protocol }) => ({ port: containerPort, protocol })) }] })); // prettier-ignore
    }
  }
  return policies;
}

const DNS: Json = {
  to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } }],
  ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }],
}; // prettier-ignore

export interface ContainerPort {
  readonly [key: string]: Json | undefined;
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly hostIP?: string;
  readonly protocol: string;
}

/** `ports`, ranges taken apart. */
export function containerPorts({ ports }: Service): readonly ContainerPort[] {
  return ports.flatMap(({ hostIp, published, target, protocol }) => {
    const [from, host] = [numbersOf(target), published === undefined ? [] : numbersOf(published)];
    return from.map((containerPort, index) => ({
      containerPort,
      ...(host[index] === undefined ? {} : { hostPort: host[index] }),
      ...(hostIp === undefined ? {} : { hostIP: hostIp }),
      protocol: protocol.toUpperCase(),
    }));
  });
}

function numbersOf(range: string): readonly number[] {
  const [first = 0, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** What a network of a cluster cannot be told. */
export function checkNetworks(app: App, refusals: Refusals): void {
  for (const { name, where, external, driver, attachable, enableIpv6, ipam, driverOptions } of app.networks) {
    const has = [
      external ? 'external' : '', driver !== undefined && driver !== 'bridge' ? 'driver' : '', attachable ? 'attachable' : '',
      enableIpv6 ? 'enable_ipv6' : '', ipam ? 'ipam' : '', Object.keys(driverOptions).length > 0 ? 'driver_opts' : '',
    ].filter(Boolean); // prettier-ignore
    if (has.length > 0) refusals.refuseAt(where ?? { file: app.composeFile }, `the network "${name}" has ${has.map((key) => `"${key}"`).join(', ')}, which k3s does not have`, 'Leave it out: pods have the network of the cluster.'); // prettier-ignore
  }
  for (const service of app.services) {
    if (
      service.networks.some(
        ({ ipv4Address, ipv6Address, macAddress, linkLocalIps }) =>
          ipv4Address ?? ipv6Address ?? macAddress ?? linkLocalIps,
      )
    ) {
      // prettier-ignore
      refusals.refuse(service, 'networks', 'has an address of its own in a network', 'Leave it out, and use its name.');
    }
    if (service.networkMode?.startsWith('container:')) refusals.refuse(service, 'network_mode', 'shares the network of another container', 'Put both programs into one image, or use the name of the other service.'); // prettier-ignore
    if (service.ports.some(({ published }) => published === undefined)) refusals.refuse(service, 'ports', 'leaves the choice of a port to the engine', 'Name the port of the device: "8080:80".'); // prettier-ignore
  }
}
