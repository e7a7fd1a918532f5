import { listAssetFiles, readAssetFile } from '@boxship/host';

/** Contents of the template files by their path below `templates/device-socket/`. */
export type SocketTemplates = Readonly<Record<string, string>>;

export function loadSocketTemplates(): SocketTemplates {
  const folder = 'templates/device-socket';
  return Object.fromEntries(listAssetFiles(folder).map((path) => [path.slice(folder.length + 1), readAssetFile(path)]));
}
