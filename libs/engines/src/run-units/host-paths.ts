import type { Service } from '@boxship/model';
import { commandLine } from './systemd-text.ts';

/** The script that `hostPathLines` calls, in the app's folder. */
export const HOST_PATHS = 'host-paths.sh';

/** Paths of the device that the service mounts and that nothing of ours brings. */
function hostPaths({ mounts }: Service): readonly string[] {
  return mounts.flatMap((mount) =>
    mount.type === 'bind' && !mount.source.startsWith('/run/boxship/') ? [mount.source] : [],
  );
}

/**
 * Makes a folder of each that is missing before the service starts, which Compose promises (Compose specification, "volumes",
 * `create_host_path`) and docker does by itself. `folder` is that of the app.
 */
export function hostPathLines(service: Service, folder: string): readonly string[] {
  const paths = hostPaths(service);
  return paths.length === 0 ? [] : [commandLine('/bin/sh', [`${folder}/${HOST_PATHS}`, ...paths])];
}

/** The script, where a service of these needs it. */
export function hostPathScripts(services: readonly Service[]): readonly string[] {
  return services.some((service) => hostPaths(service).length > 0) ? [HOST_PATHS] : [];
}
