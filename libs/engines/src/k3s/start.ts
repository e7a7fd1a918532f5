import { UserError, type App, type DeviceFacts, type Digest, type Tree } from '@boxship/model';
import { appFileEntries, treeOf } from '../app-files.ts';
import type { StartOptions } from '../engine.ts';
import { generatedFile } from '../entries.ts';
import { commandLine, settingText } from '../run-units/systemd-text.ts';
import { loadTemplate } from '../template-files.ts';
import { renderTemplate } from '../templates.ts';
import { k3sManifests, manifestText } from './manifests/manifests.ts';
import { objectName } from './manifests/names.ts';

const TEMPLATES = 'engines/k3s/apps/[app]';

/**
 * What starts an app through k3s, below `apps/<app>/` of the store partition: its objects for the manifests folder of the
 * server, and units that take away what is left of apps that are gone, and copy what containers print. The kubelet finds an
 * image by the reference that the app has for it. Kubernetes objects that somebody wrote are taken as they are. Errors: NOT_FOR_ENGINE, all at once.
 */
export function startK3sApp(
  app: App,
  _imageIds: ReadonlyMap<string, Digest>,
  facts: DeviceFacts,
  { epoch, console, start }: StartOptions,
): Tree {
  if (start !== undefined) {
    throw new UserError('NOT_FOR_ENGINE', `engine.start is ${start}, which is not for k3s`, 'Leave it out: k3s applies what is in its manifests folder.'); // prettier-ignore
  }
  const names = new Map(app.services.map(({ image }) => [image, image]));
  const program = facts.engines.find(({ name }) => name === 'k3s')?.program ?? '/usr/local/bin/k3s';
  const folder = `apps/${app.name}`;
  const namespace = objectName(app.name);
  const objects = `boxship-${namespace}`; // k3s names an object of its own after the file
  const unit = (template: string, name: string, values: Record<string, string>) =>
    generatedFile(
      `${folder}/units/boxship-${app.name}_${name}.service`,
      renderTemplate(`${TEMPLATES}/units/boxship-[app]_${template}.service`, { app: app.name, ...values }),
      0o644,
      epoch,
    );
  const follow = ['kubectl', 'logs', '--follow', '--prefix', '--all-containers', '--ignore-errors', '--since=10s', '--max-log-requests=100', `--namespace=${namespace}`, `--selector=app.kubernetes.io/part-of=${app.name}`]; // prettier-ignore
  return treeOf(
    [
      generatedFile(
        `${folder}/manifests/${objects}.yaml`,
        app.native ? app.native.files[0]!.bytes : manifestText(app, k3sManifests(app, names)),
        0o644,
        epoch,
      ),
      generatedFile(`${folder}/remove-gone.sh`, loadTemplate(`${TEMPLATES}/remove-gone.sh`), 0o755, epoch),
      unit('objects', 'objects', {
        description: settingText(`Boxship app ${app.name}: objects of apps that are gone`),
        start: commandLine('/bin/sh', [`/run/boxship/store/${folder}/remove-gone.sh`, program]),
      }),
      ...(console
        ? [
            unit('console', 'console', {
              description: settingText(`Boxship app ${app.name}: output`),
              follow: commandLine(program, follow),
            }),
          ]
        : []),
      ...appFileEntries(app, epoch),
    ],
    epoch,
  );
}
