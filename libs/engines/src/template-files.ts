import { readAssetFile } from '@boxship/host';

/** Text of a file below the top-level `templates/`, as in `engines/run-units/apps/[app]/await.sh`. */
export function loadTemplate(name: string): string {
  return readAssetFile(`templates/${name}`);
}
