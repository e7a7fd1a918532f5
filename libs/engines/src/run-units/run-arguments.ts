import type { App, Digest, JoinedNetwork, PortMapping, Service, ServiceMount, ServiceSecret } from '@boxship/model';
import { runOptions } from './run-options.ts';
import { checkUnitName } from './systemd-text.ts';

/** Arguments of `docker run` (or `docker create`) for a service, in a fixed order, and what must follow a create. */
export interface ContainerArguments {
  readonly name: string;
  /** Options, image and command; without the verb. */
  readonly create: readonly string[];
  /** `docker network connect` arguments: networks beyond the first, which `docker run` takes from Docker 25 on only. */
  readonly connect: readonly (readonly string[])[];
}

export interface LogPolicy {
  /** Options for a service that says nothing of logging. */
  readonly options: readonly string[];
}

/** Name of the systemd unit that runs a service. */
export function serviceUnitName(app: App, service: string): string {
  return checkUnitName(`boxship-${app.name}-${service}.service`);
}

/** Compose's name for the one container of a service. */
export function containerName(app: App, service: Service): string {
  return service.containerName ?? `${app.name}-${service.name}-1`;
}

/**
 * What `docker run` is given so that the container is the one that Compose would make of `service`; it is run from the
 * image's id, so that no name needs to be resolved.
 */
export function containerArguments(app: App, service: Service, imageId: Digest, log: LogPolicy): ContainerArguments {
  const name = containerName(app, service);
  const [first, ...others] = service.networks;
  const create = [
    '--rm',
    `--name=${name}`,
    '--pull=never',
    ...labelOptions(app, service),
    ...logOptions(service, log),
    ...(service.networkMode === undefined ? [] : [`--network=${service.networkMode}`]),
    ...(first === undefined
      ? []
      : [
          `--network=${first.name}`,
          ...aliases(first, service, '--network-alias'),
          ...addresses(first),
          ...(first.macAddress === undefined ? [] : [`--mac-address=${first.macAddress}`]),
        ]),
    ...containerOptions(app, service),
    imageId,
    ...containerCommand(service),
  ];
  const connect = others.map((network) => [
    ...aliases(network, service, '--alias'),
    ...addresses(network),
    network.name,
    name,
  ]);
  return { name, create, connect };
}

/** Labels of a container: what `docker compose ps` and other tools look for, and the service's own. */
export function labelOptions(app: App, service: Service): readonly string[] {
  return [
    `--label=com.docker.compose.project=${app.name}`,
    `--label=com.docker.compose.service=${service.name}`,
    '--label=com.docker.compose.container-number=1',
    '--label=com.docker.compose.oneoff=False',
    ...Object.entries(service.labels).map(([key, value]) => `--label=${key}=${value}`),
  ];
}

/** Log options of a policy, for a service that has chosen no driver. */
export function logOptions(service: Service, log: LogPolicy): readonly string[] {
  return service.settings.logging?.driver === undefined ? log.options : [];
}

/** What a container is beyond its name, labels, log policy and networks. */
export function containerOptions(app: App, service: Service): readonly string[] {
  const unit = serviceUnitName(app, service.name);
  return [
    ...service.ports.map(publish),
    ...service.mounts.map(mount),
    ...(service.secrets ?? []).map((secret) => secretMount(secret, unit)),
    ...Object.entries(service.environment).map(([key, value]) => `--env=${key}=${value}`),
    ...health(service),
    ...runOptions(service.settings),
    ...(service.entrypoint === undefined ? [] : [`--entrypoint=${service.entrypoint[0] ?? ''}`]),
  ];
}

/** What follows the image. */
export function containerCommand({ entrypoint, command }: Service): readonly string[] {
  return [...(entrypoint?.slice(1) ?? []), ...(command ?? [])];
}

function addresses({ ipv4Address, ipv6Address, linkLocalIps }: JoinedNetwork): readonly string[] {
  return [
    ...(ipv4Address === undefined ? [] : [`--ip=${ipv4Address}`]),
    ...(ipv6Address === undefined ? [] : [`--ip6=${ipv6Address}`]),
    ...(linkLocalIps ?? []).map((ip) => `--link-local-ip=${ip}`),
  ];
}

function aliases(network: JoinedNetwork, service: Service, option: string): readonly string[] {
  if (['bridge', 'host', 'none'].includes(network.name)) return []; // the engine's own networks have none
  return [...new Set([service.name, ...network.aliases])].map((alias) => `${option}=${alias}`);
}

function publish({ hostIp, published, target, protocol }: PortMapping): string {
  const ip = hostIp?.includes(':') ? `[${hostIp}]` : hostIp;
  const host = ip === undefined ? (published === undefined ? [] : [published]) : [ip, published ?? ''];
  return `--publish=${[...host, target].join(':')}/${protocol}`;
}

/**
 * `--mount` rather than `--volume`: a secret that is not there must not become an empty folder. systemd puts credentials of a
 * unit below /run/credentials/ (systemd.exec(5) "LoadCredential="), where the engine sees them.
 */
function secretMount({ name, target, place }: ServiceSecret, unit: string): string {
  const source = place.from === 'data' ? place.path : `/run/credentials/${unit}/${name}`;
  return `--mount=type=bind,source=${source},target=${target},readonly`;
}

/** `--volume` rather than `--mount`: it makes a missing source directory, as Compose's short form does. */
function mount(item: ServiceMount): string {
  if (item.type === 'tmpfs') {
    const options = [
      ...(item.size === undefined ? [] : [`size=${item.size}`]),
      ...(item.mode === undefined ? [] : [`mode=${item.mode.toString(8).padStart(4, '0')}`]),
    ];
    return `--tmpfs=${item.target}${options.length > 0 ? `:${options.join(',')}` : ''}`;
  }
  const options = [
    ...(item.readOnly ? ['ro'] : []),
    ...(item.type === 'volume' && item.noCopy ? ['nocopy'] : []),
    ...(item.type === 'bind' && item.propagation ? [item.propagation] : []),
  ];
  return `--volume=${[...(item.source ? [item.source] : []), item.target, ...(item.source && options.length > 0 ? [options.join(',')] : [])].join(':')}`;
}

function health({ healthcheck }: Service): readonly string[] {
  if (!healthcheck) return [];
  if (healthcheck.disable) return ['--no-healthcheck'];
  const [kind, ...words] = healthcheck.test;
  // `docker run` has no form without a shell: words are quoted for one
  const command = kind === 'CMD' ? joinShellWords(words) : words[0];
  const { interval, timeout, startPeriod, startInterval, retries } = healthcheck;
  return [
    ...(command === undefined ? [] : [`--health-cmd=${command}`]),
    ...(interval === undefined ? [] : [`--health-interval=${interval}`]),
    ...(timeout === undefined ? [] : [`--health-timeout=${timeout}`]),
    ...(startPeriod === undefined ? [] : [`--health-start-period=${startPeriod}`]),
    ...(startInterval === undefined ? [] : [`--health-start-interval=${startInterval}`]),
    ...(retries === undefined ? [] : [`--health-retries=${retries}`]),
  ];
}

/** A line that a POSIX shell splits into exactly `words`. */
export function joinShellWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[A-Za-z0-9_\-./:=@%+,]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}
