import Handlebars from 'handlebars';
import { loadTemplate } from './template-files.ts';

export type TemplateValue = string | number | boolean | readonly string[];

const compiled = new Map<string, (values: Readonly<Record<string, TemplateValue>>) => string>();

/** A template of `templates/` with its values in it, as they are; a value that the template names and that is missing is an error. */
export function renderTemplate(name: string, values: Readonly<Record<string, TemplateValue>>): string {
  let template = compiled.get(name);
  if (!template) {
    template = Handlebars.compile(loadTemplate(`${name}.hbs`), { noEscape: true, strict: true });
    compiled.set(name, template);
  }
  return template(values);
}
