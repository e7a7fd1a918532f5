import type { App, DeviceFacts, NativeApp, Tree } from '@boxship/model';
import { bytePath, treeOf } from '../../app-files.ts';
import type { StartOptions } from '../../engine.ts';
import { generatedFile } from '../../entries.ts';
import { checkUnitName, settingText } from '../../run-units/systemd-text.ts';
import { renderTemplate } from '../../templates.ts';
import { DEFAULT_DEPENDENCIES, makerEntries } from './quadlets.ts';
import { isSince, type PodmanVersion } from './versions.ts';

const TEMPLATES = 'engines/podman/apps/[app]';
/** podman-systemd.unit(5), "Service name": what the unit of a file is called, unless ServiceName= says otherwise. */
const SUFFIX: Readonly<Record<string, string>> = { container: '', kube: '', pod: '-pod' };

/**
 * What starts an app of Quadlet files as somebody wrote them, below `apps/<app>/` of the store partition: the files, and a unit
 * that pulls in those that say WantedBy= or RequiredBy=, because the device has passed the targets that they name when apps are
 * started. A file of Kubernetes objects gets a .kube file beside it.
 */
export function nativeUnits(app: App, native: NativeApp, version: PodmanVersion, facts: DeviceFacts, { epoch }: StartOptions): Tree {
  const folder = `apps/${app.name}`;
  const description = settingText(`Boxship app ${app.name}`);
  const unit = (name: string, template: string, values: Record<string, string | boolean>) =>
    generatedFile(`${folder}/${name}`, renderTemplate(`${TEMPLATES}/${template}`, { app: app.name, description, ...values }), 0o644, epoch);
  const yaml = `boxship-${app.name}.yaml`;
  const files =
    native.language === 'kubernetes'
      ? [
          generatedFile(`${folder}/quadlets/${yaml}`, native.files[0]!.bytes, 0o644, epoch),
          unit(`quadlets/${checkUnitName(`boxship-${app.name}.kube`)}`, 'quadlets/boxship-[app].kube', { yaml, noDefaultDependencies: isSince(version, DEFAULT_DEPENDENCIES) }),
        ]
      : [
          ...native.files.map(({ path, bytes }) => generatedFile(`${folder}/quadlets/${bytePath(path)}`, bytes, 0o644, epoch)),
          unit(`units/${checkUnitName(`boxship-${app.name}_start.service`)}`, 'units/boxship-[app]_start.service', {
            wants: wantedUnits(native).join(' '),
          }),
        ];
  return treeOf([...files, ...makerEntries(app, version, facts, epoch)], epoch);
} // prettier-ignore

/** Units of the files that somebody wants started with the device. */
function wantedUnits({ files }: NativeApp): readonly string[] {
  return files.flatMap(({ path, bytes }) => {
    const [, base, kind = ''] = /^([^/@]+)\.([a-z]+)$/.exec(path) ?? [];
    const texts = [bytes, ...files.filter((one) => one.path.startsWith(`${path}.d/`)).map((one) => one.bytes)];
    const text = texts.map((one) => Buffer.from(one).toString()).join('\n');
    if (base === undefined || !Object.hasOwn(SUFFIX, kind)) return [];
    if (!/^\s*(WantedBy|RequiredBy|UpheldBy)\s*=\s*\S/m.test(text)) return [];
    const named = /^\s*ServiceName\s*=\s*(\S+)/m.exec(text)?.[1];
    return [`${named ?? `${base}${SUFFIX[kind]}`}.service`];
  });
}
