import type { App, Service } from '@boxship/model';
import { renderTemplate } from '../templates.ts';
import { credentialsOf, lifetimeOf } from './lifetime.ts';
import { serviceUnitName } from './run-arguments.ts';
import { settingText } from './systemd-text.ts';

/** What an engine does for a service; the rest of its unit is what Compose says, in systemd's words. Lines as systemd takes them. */
export interface ServiceCommands {
  /** Units that must run for the commands to work. */
  readonly engineUnits: readonly string[];
  /** Units that make what the container uses. */
  readonly resources: readonly string[];
  /** `ExecStartPre=`, in this order. */
  readonly startPre: readonly string[];
  /** `ExecStart=`: stays attached to the container, and ends with its status. */
  readonly start: string;
  /** `ExecStop=` */
  readonly stop: string;
  readonly standardOutput: string;
  readonly standardError: string;
  /** `SyslogIdentifier=` */
  readonly identifier: string;
}

/** Text of the systemd unit of a service. */
export function serviceUnitText(app: App, service: Service, commands: ServiceCommands): string {
  const { isAwaited, ...life } = lifetimeOf(app, service);
  return renderTemplate('engines/run-units/apps/[app]/units/boxship-[app]-[service].service', {
    app: app.name,
    service: service.name,
    description: settingText(`Boxship app ${app.name}: ${service.name}`),
    dependencies: service.dependsOn.map((dependency) => serviceUnitName(app, dependency.service)),
    credentials: credentialsOf(service),
    type: isAwaited ? 'oneshot' : 'exec',
    remain: isAwaited,
    ...life,
    ...commands,
  });
}
