import Handlebars from 'handlebars';
import { listAssetFiles, readAssetFile } from '@boxship/host';

/** The files of every device socket, as they are: the folder of meta-boxship that its recipes install from. */
const LAYER_FILES = 'layers/meta-boxship/recipes-core/boxship-socket/files';
/** The files that hold values of a product, an engine or a machine. */
const TEMPLATES = 'templates/device-socket';

/** Texts by their path on a device with a merged /usr. */
export function readLayerFiles(): Readonly<Record<string, string>> {
  const paths = listAssetFiles(LAYER_FILES);
  return Object.fromEntries(paths.map((path) => [path.slice(LAYER_FILES.length + 1), readAssetFile(path)]));
}

export type TemplateValues = Readonly<Record<string, string | number>>;

const compiled = new Map<string, (values: TemplateValues) => string>();

/** A template by the path that it stands at, with its values in it as they are; a missing value is an error. */
export function renderSocketTemplate(name: string, values: TemplateValues): string {
  let template = compiled.get(name);
  if (!template) {
    const text = readAssetFile(`${TEMPLATES}/${name}.hbs`);
    template = Handlebars.compile(text, { noEscape: true, strict: true, preventIndent: true });
    compiled.set(name, template);
  }
  return template(values);
}
