import type { EngineDevice, EngineFile, PreloadOptions } from '../engine.ts';
import { generatedFile } from '../entries.ts';
import { DAEMON_JSON, daemonSettings, featuresOf } from './daemon-settings.ts';
import { dockerFacts, dockerImageStore, mustBeTold, type DockerImageStore } from './image-store.ts';

/** What daemon.json must say for dockerd to use a store and no other (docs.docker.com "Daemon configuration file"). */
export function storeSettings(store: DockerImageStore): {
  readonly 'storage-driver': string;
  readonly features: Readonly<Record<string, boolean>>;
} {
  return store === 'containerd'
    ? { 'storage-driver': 'overlayfs', features: { 'containerd-snapshotter': true } }
    : { 'storage-driver': 'overlay2', features: { 'containerd-snapshotter': false } };
}

/**
 * The vendor's daemon.json with what keeps dockerd to the store; nothing when the base image says it already, or when its
 * dockerd goes by what it finds. A flag of ExecStart is not said again: dockerd refuses a setting that is in both.
 */
export function dockerConfiguration(device: EngineDevice, { epoch }: PreloadOptions): readonly EngineFile[] {
  if (!mustBeTold(device)) return [];
  const docker = dockerFacts(device.facts);
  if (!docker) return []; // the generated layer brings its own daemon.json
  const wanted = storeSettings(dockerImageStore(device));
  const said = daemonSettings(docker);
  const isSaid = (name: string, value: unknown) => said.some((one) => one.key === name && one.value === value);
  const [[feature, on]] = Object.entries(wanted.features) as [[string, boolean]];
  const [saysDriver, saysFeature] = [isSaid('storage-driver', wanted['storage-driver']), isSaid(feature, on)];
  if (saysDriver && saysFeature) return [];
  const vendor = docker.daemonConfig ?? {};
  const merged = {
    ...vendor,
    ...(saysDriver ? {} : { 'storage-driver': wanted['storage-driver'] }),
    ...(saysFeature ? {} : { features: { ...featuresOf(vendor), [feature]: on } }),
  };
  return [
    {
      entry: generatedFile(DAEMON_JSON.slice(1), `${JSON.stringify(merged, null, 2)}\n`, 0o644, epoch),
      why: 'keeps docker to the image store that was made for it',
    },
  ];
}
