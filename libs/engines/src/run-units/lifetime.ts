import type { App, Service } from '@boxship/model';
import { containerName, serviceUnitName } from './run-arguments.ts';
import { commandLine } from './systemd-text.ts';

/** Compose's own time for a container to stop (compose-spec "stop_grace_period"), seconds. */
const STOP_SECONDS = 10;

/** How a service's unit starts, ends and starts again, in systemd's words (systemd.service(5), systemd.unit(5)). */
export interface Lifetime {
  /** Another service waits for it to end well: its unit is done when it has. */
  readonly isAwaited: boolean;
  readonly restart: 'no' | 'always' | 'on-failure';
  /** Never give up, or give up for good after so many restarts. */
  readonly startLimitInterval: '0' | 'infinity';
  readonly startLimitBurst: number | '';
  /** Seconds. */
  readonly stopTimeout: number;
  readonly successStatus: '143' | '';
}

export function lifetimeOf(app: App, service: Service): Lifetime {
  const isAwaited = app.services.some((other) =>
    other.dependsOn.some(
      (item) => item.service === service.name && item.condition === 'service_completed_successfully',
    ),
  );
  const attempts = service.restartMaxAttempts;
  const endless = service.restart === 'always' || service.restart === 'unless-stopped';
  return {
    isAwaited,
    // systemd refuses "always" for a oneshot; what is to be completed is done when it has succeeded
    restart: service.restart === 'no' ? 'no' : endless && !isAwaited ? 'always' : 'on-failure',
    startLimitInterval: attempts === undefined ? '0' : 'infinity',
    startLimitBurst: attempts === undefined ? '' : attempts + 1,
    stopTimeout: stopSeconds(service) + 30,
    // 143 is 128 + SIGTERM: stopped as asked. With on-failure it must stay a failure, as it is for the engine.
    successStatus: service.restart === 'on-failure' || isAwaited ? '' : '143',
  };
}

/** What `docker stop` waits before it kills, seconds. */
export function stopSeconds({ settings }: Pick<Service, 'settings'>): number {
  return settings.stopGracePeriod ?? STOP_SECONDS;
}

/** What `waitLines` calls, in the app's folder. The second is the engine's own. */
export const WAIT_SCRIPTS = ['await.sh', 'container-state.sh'] as const;

/**
 * Command lines that end when what `depends_on` asks for holds; `engine` are the words that its `container-state.sh` takes,
 * `folder` is the app's on the device.
 */
export function waitLines(app: App, service: Service, engine: readonly string[], folder: string): readonly string[] {
  return service.dependsOn.map((dependency) => {
    const other = app.services.find((candidate) => candidate.name === dependency.service);
    if (!other) throw new Error(`${service.name} depends on ${dependency.service}, which is not there`);
    const need = dependency.required ? 'required' : 'optional';
    return commandLine('/bin/sh', [`${folder}/${WAIT_SCRIPTS[0]}`, dependency.condition, need, serviceUnitName(app, other.name), containerName(app, other), ...engine]); // prettier-ignore
  });
}

/** `LoadCredential=` values of the secrets that are systemd credentials. */
export function credentialsOf(service: Service): readonly string[] {
  return (service.secrets ?? []).flatMap(({ name, place }) =>
    place.from === 'credential' ? [`${name}:${place.credential}`] : [],
  );
}
