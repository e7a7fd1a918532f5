import Handlebars from 'handlebars';
import { readAssetFile } from '@boxship/host';

const FOLDER = 'templates/yocto-layer/meta-[name]';
const compiled = new Map<string, (values: object) => string>();

/** A template by the path that it makes in the layer, its values as they are; a missing value is an error. */
export function renderLayerFile(path: string, values: object): string {
  let template = compiled.get(path);
  if (!template) {
    template = Handlebars.compile(readAssetFile(`${FOLDER}/${path}.hbs`), {
      noEscape: true,
      strict: true,
      preventIndent: true,
    });
    compiled.set(path, template);
  }
  return template(values);
}
