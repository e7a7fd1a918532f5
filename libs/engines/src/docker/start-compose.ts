import type { App, DeviceFacts, Digest, Tree } from '@boxship/model';
import { appFileEntries, treeOf } from '../app-files.ts';
import type { StartOptions } from '../engine.ts';
import { generatedFile } from '../entries.ts';
import { renderTemplate } from '../templates.ts';
import { stopSeconds } from '../run-units/lifetime.ts';
import { checkUnitName, commandLine, settingText } from '../run-units/systemd-text.ts';

/** Beside the app's Compose file, merged over it. JSON is YAML to Compose. */
const OVERRIDE = 'compose.device.json';
const UNIT = 'boxship-[app]_compose.service';
const TEMPLATES = 'engines/docker/apps/[app]/units';

/**
 * What starts an app through the device's own `docker compose`, below `apps/<app>/` of the store partition: the Compose
 * file, a second one that names every image by the digest of its configuration, and one systemd unit. Nothing is pulled or
 * built; health, order and restarts are Compose's; containers go when the unit stops, named volumes stay.
 */
export function dockerComposeUnit(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  { epoch, console }: StartOptions,
): Tree {
  const docker = facts.programs['docker'] ?? '/usr/bin/docker';
  const engine = facts.engines.find(({ name }) => name === 'docker');
  const vendorLogs = engine?.daemonConfig?.['log-driver'] !== undefined;
  const byEngine = !vendorLogs && app.services.every(({ settings }) => settings.logging === undefined);
  const folder = `/run/boxship/store/apps/${app.name}`;
  const compose = (...words: string[]) =>
    commandLine(docker, [
      ...['compose', '--ansi=never', `--project-name=${app.name}`, `--project-directory=${folder}`, '--env-file=/dev/null'],
      ...[`--file=${folder}/${app.composeFile}`, `--file=${folder}/${OVERRIDE}`],
      ...words,
    ]); // prettier-ignore
  const name = checkUnitName(UNIT.replace('[app]', app.name));
  const unit = renderTemplate(`${TEMPLATES}/${UNIT}`, {
    app: app.name,
    description: settingText(`Boxship app ${app.name}`),
    credentials: credentialsOf(app).map(({ name, credential }) => `${name}:${credential}`),
    engineUnit: engine?.unit ?? 'docker.service',
    // anonymous volumes too: nobody finds them again, and the data partition would fill up
    remove: compose('rm', '--stop', '--force', '--volumes'),
    start: compose('up', '--pull=never', '--no-build', '--no-color', '--remove-orphans'),
    down: compose('down', '--remove-orphans'),
    // one service waits for another, in the worst case all of them in a row
    stopTimeout: app.services.reduce((sum, { settings }) => sum + stopSeconds({ settings }), 30),
    output: outputOf(byEngine, console),
  });
  return treeOf(
    [
      generatedFile(`apps/${app.name}/units/${name}`, unit, 0o644, epoch),
      generatedFile(
        `apps/${app.name}/${OVERRIDE}`,
        overrideText(app, imageIds, { vendorLogs, byEngine, unit: name }),
        0o644,
        epoch,
      ),
      ...appFileEntries(app, epoch),
    ],
    epoch,
  );
}

/** Where the lines go that Compose prints for its containers: the journal has them once. */
function outputOf(byEngine: boolean, console: boolean): string {
  if (byEngine) return console ? 'tty' : 'null';
  return console ? 'journal+console' : 'journal';
}

/**
 * Images by id: what runs is then decided by files that the device has verified, which names in the engine's state are not.
 * Logs go from the engine to the journal: bounded, and free of the control sequences that Compose 2.26 begins its lines with,
 * which the journal would take for binary data. Where the vendor or a service has chosen another log, the journal gets what
 * Compose prints.
 */
function overrideText(
  app: App,
  imageIds: ReadonlyMap<string, Digest>,
  { vendorLogs, byEngine, unit }: { readonly vendorLogs: boolean; readonly byEngine: boolean; readonly unit: string },
): string {
  const services = app.services.map((service) => {
    const image = imageIds.get(service.image);
    if (!image) throw new Error(`no image id for ${service.image}`);
    const isChosen = vendorLogs || service.settings.logging !== undefined;
    const logging = byEngine
      ? { driver: 'journald', options: { tag: `${app.name}-${service.name}` } }
      : { driver: 'local', options: { 'max-size': '1m', 'max-file': '2' } };
    return [service.name, { image, ...(isChosen ? {} : { logging }) }] as const;
  });
  // systemd puts the credentials of a unit there (systemd.exec(5) "LoadCredential=")
  const secrets = credentialsOf(app).map(({ name }) => [name, { file: `/run/credentials/${unit}/${name}` }] as const);
  const override = {
    services: Object.fromEntries(services),
    ...(secrets.length > 0 ? { secrets: Object.fromEntries(secrets) } : {}),
  };
  return `${JSON.stringify(override, null, 2)}\n`;
}

function credentialsOf({ secrets = [] }: App): readonly { readonly name: string; readonly credential: string }[] {
  return secrets.flatMap(({ name, place }) =>
    place.from === 'credential' ? [{ name, credential: place.credential }] : [],
  );
}
