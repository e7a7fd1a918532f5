import type { App, Healthcheck, Service } from '@boxship/model';
import { joinJson, type Json } from './json.ts';
import { SERVER_LABEL, configMap, digestOfFiles, mountsOf, persistentVolume, type PodMounts } from './mounts.ts';
import { objectName } from './names.ts';
import {
  checkNetworks,
  containerPorts,
  nameServices,
  networkLabels,
  networkPolicies,
  selectorOf,
  type Metadata,
} from './networks.ts';
import { podFieldsOf, type PodFields } from './pod-settings.ts';
import { collectRefusals, type Refusals } from './refusals.ts';

/** Compose's own time for a container to stop (compose-spec "stop_grace_period"), seconds. */
const STOP_SECONDS = 10;
/** As often as it takes: the largest number that the field holds. */
const ENDLESS = 2_147_483_647;

/**
 * An app as objects of Kubernetes, for the manifests folder of k3s: a namespace, and for each service a Deployment, a DaemonSet
 * where it is bound to this machine, or a Job, with the Services, ConfigMaps, PersistentVolumes and NetworkPolicies that it
 * needs. Nothing is pulled: `imageNames` gives what containerd calls the image of each reference. Secrets stay files of the
 * device. Errors: NOT_FOR_ENGINE, everything at once, each at its key.
 */
export function k3sManifests(app: App, imageNames: ReadonlyMap<string, string>): readonly Json[] {
  const refusals = collectRefusals();
  const namespace = objectName(app.name);
  const common = { 'app.kubernetes.io/managed-by': 'boxship', 'app.kubernetes.io/part-of': app.name };
  const metadata: Metadata = (name) => ({ labels: common, name, namespace });
  checkNetworks(app, refusals);
  const volumes = app.volumes.filter(({ external, driverOptions }) => !external && Object.keys(driverOptions).length === 0);
  const documents: Json[] = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { labels: common, name: namespace } },
    ...volumes.flatMap((volume) => persistentVolume(volume, namespace, metadata)),
    ...networkPolicies(app, metadata),
  ];
  const image = (service: Service) => {
    const name = imageNames.get(service.image);
    if (name === undefined) throw new Error(`no image name for ${service.image}`);
    return name;
  };
  for (const service of app.services) {
    if (isAwaited(app, service)) continue; // it runs before each of those that wait for it
    const parts = [...earlierServices(app, service, refusals), service].map((one) => containerOf(app, one, image(one), refusals));
    for (const { service: one, mounted } of parts) if (mounted.files.size > 0) documents.push(configMap(one, mounted.files, metadata));
    documents.push(...nameServices(app, service, metadata, refusals), workload(app, service, parts, metadata));
  }
  refusals.end();
  return documents;
} // prettier-ignore

/** The text of a manifest file; JSON is YAML to k3s. */
export function manifestText(app: App, documents: readonly Json[]): string {
  return `# Made by Boxship from the Compose file of the app "${app.name}".\n${documents.map((document) => `---\n${JSON.stringify(document, null, 2)}\n`).join('')}`;
} // prettier-ignore

interface ContainerPart {
  readonly service: Service;
  readonly container: Json;
  readonly fields: readonly PodFields[];
  readonly mounted: PodMounts;
}

/** Another service waits for it to end well. */
function isAwaited(app: App, service: Service): boolean {
  return app.services.some(({ dependsOn }) => dependsOn.some((item) => item.service === service.name && item.condition === 'service_completed_successfully')); // prettier-ignore
}

/** Those that a service waits for to end well, the first first: they are its init containers. */
function earlierServices(app: App, service: Service, refusals: Refusals): readonly Service[] {
  const found: Service[] = [];
  const visit = (one: Service) => {
    for (const { service: name, condition, required } of one.dependsOn) {
      if (condition !== 'service_completed_successfully') continue;
      const other = app.services.find((candidate) => candidate.name === name)!;
      if (!required) refusals.refuse(one, 'depends_on', `waits for "${name}", and would start without it too`, 'Leave "required: false" out.'); // prettier-ignore
      if (found.includes(other)) continue;
      visit(other);
      found.push(other);
    }
  };
  visit(service);
  return found;
}

function containerOf(app: App, service: Service, image: string, refusals: Refusals): ContainerPart {
  const fields = podFieldsOf(service, refusals);
  const mounted = mountsOf(app, service, fields, refusals);
  const join = (key: 'container' | 'security' | 'limits' | 'requests') => fields.reduce<Json>((sum, item) => joinJson(sum, item[key] ?? {}), {}) as { readonly [key: string]: Json }; // prettier-ignore
  const [limits, requests, security] = [join('limits'), join('requests'), join('security')];
  const isFree = service.settings.privileged === true || 'seccompProfile' in security;
  const ports = service.networkMode === 'host' ? [] : containerPorts(service);
  const resources = { ...(Object.keys(limits).length > 0 ? { limits } : {}), ...(Object.keys(requests).length > 0 ? { requests } : {}) }; // prettier-ignore
  const { entrypoint, command } = service;
  // an entrypoint without words: the command is the whole of it
  const [words, args] = entrypoint?.length === 0 ? [command, undefined] : [entrypoint, command];
  const container: Json = {
    name: objectName(service.name),
    image,
    imagePullPolicy: 'Never',
    ...(words === undefined ? {} : { command: words.map(literal) }),
    ...(args === undefined ? {} : { args: args.map(literal) }),
    ...(Object.keys(service.environment).length > 0 ? { env: Object.entries(service.environment).map(([name, value]) => ({ name, value: literal(value) })) } : {}),
    ...(ports.length > 0 ? { ports: ports as readonly Json[] } : {}),
    ...probeOf(service.healthcheck),
    ...(Object.keys(resources).length > 0 ? { resources } : {}),
    securityContext: { ...security, ...(isFree ? {} : { seccompProfile: { type: 'RuntimeDefault' } }) },
    ...(mounted.mounts.length > 0 ? { volumeMounts: mounted.mounts } : {}),
    ...join('container'),
  };
  return { service, container, fields, mounted };
} // prettier-ignore

/** `$(NAME)` would be a variable of the pod, and `$$` a dollar sign. */
function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}

/** Docker says healthy or not, and ends nothing: so does a readiness probe. */
function probeOf(healthcheck: Healthcheck | undefined): { readonly [key: string]: Json } {
  if (!healthcheck || healthcheck.disable || healthcheck.test.length === 0) return {};
  const [kind, ...words] = healthcheck.test;
  return {
    readinessProbe: {
      exec: { command: kind === 'CMD' ? words : ['/bin/sh', '-c', words[0] ?? ''] },
      periodSeconds: secondsOf(healthcheck.interval ?? '30s'),
      timeoutSeconds: secondsOf(healthcheck.timeout ?? '30s'),
      failureThreshold: Math.max(1, healthcheck.retries ?? 3),
    },
  };
}

/** Whole seconds of `1m30s`, at least one. */
function secondsOf(duration: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)/g)];
  return Math.max(1, Math.ceil(parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!, 0)));
}

function workload(app: App, service: Service, parts: readonly ContainerPart[], metadata: Metadata): Json {
  const selector = selectorOf(app, service);
  const files = new Map(parts.flatMap(({ service: { name }, mounted }) => [...mounted.files].map(([key, file]) => [`${name}/${key}`, file] as const)));
  const annotations = {
    ...service.labels,
    ...Object.assign({}, ...parts.flatMap(({ fields }) => fields.map((item) => item.annotations ?? {}))) as Record<string, string>,
    ...(files.size > 0 ? { 'boxship/files': digestOfFiles(files) } : {}),
  };
  const fields = parts.flatMap((part) => part.fields);
  const own = (key: 'pod' | 'podSecurity') => fields.reduce<Json>((sum, item) => joinJson(sum, item[key] ?? {}), {}) as { readonly [key: string]: Json };
  const containers = parts.map(({ container }) => container);
  const isHost = service.networkMode === 'host';
  const pod = (restartPolicy: string): Json => ({
    metadata: { labels: { ...selector, 'app.kubernetes.io/managed-by': 'boxship', ...networkLabels(app, service) }, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      nodeSelector: { [SERVER_LABEL]: 'true' },
      restartPolicy,
      terminationGracePeriodSeconds: STOP_SECONDS,
      ...(isHost ? { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } : {}),
      ...own('pod'),
      ...(Object.keys(own('podSecurity')).length > 0 ? { securityContext: own('podSecurity') } : {}),
      ...(containers.length > 1 ? { initContainers: containers.slice(0, -1) } : {}),
      containers: containers.slice(-1),
      ...(parts.some(({ mounted }) => mounted.volumes.length > 0) ? { volumes: parts.flatMap(({ mounted }) => mounted.volumes) } : {}),
    },
  });
  const name = metadata(objectName(service.name));
  if (service.restart === 'no' || service.restart === 'on-failure') {
    const backoffLimit = service.restart === 'no' ? 0 : (service.restartMaxAttempts ?? ENDLESS);
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: name, spec: { backoffLimit, template: pod(service.restart === 'no' ? 'Never' : 'OnFailure') } };
  }
  const spec = { revisionHistoryLimit: 1, selector: { matchLabels: selector }, template: pod('Always') };
  const isBound = isHost || service.settings.privileged === true;
  return isBound
    ? { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: name, spec }
    : { apiVersion: 'apps/v1', kind: 'Deployment', metadata: name, spec: { ...spec, replicas: 1, strategy: { type: 'Recreate' } } };
} // prettier-ignore
