import type { Location } from '@boxship/model';
import { nearest, type Report } from './report.ts';
import type { MapEntry } from './yaml-value.ts';

/** What services name and the top level of the file declares. */
export type DeclaredKind = 'volume' | 'network' | 'config' | 'secret';

/** Reports that a service names at `where` what nothing declares; `hint` follows ours. */
export type ReportUndeclared = (kind: DeclaredKind, key: string, where: Location, hint?: string) => void;

/**
 * `UNDEFINED_VOLUME` and its like, each with the place where the declaration should stand: below the section of the file that
 * has the others, or beside `services:`. `top` is the file by its top-level keys.
 */
export function undeclaredIn(top: ReadonlyMap<string, MapEntry>, root: Location, report: Report): ReportUndeclared {
  return (kind, key, where, hint) => {
    const section = top.get(`${kind}s`);
    const declared = section?.value.kind === 'map' ? section.value.entries : new Map<string, MapEntry>();
    const near = nearest(key, [...declared.keys()].filter((name) => !name.startsWith('x-'))); // prettier-ignore
    const also =
      near !== undefined
        ? { what: `"${near}" is declared`, where: declared.get(near)!.where }
        : section
          ? { what: `"${key}:" is not among these`, where: section.where }
          : { what: `"${kind}s:" with "${key}:" below it is missing beside this`, where: top.get('services')?.where ?? root }; // prettier-ignore
    const add = near === undefined ? `Add "${key}:" under top-level "${kind}s"` : `Did you mean "${near}"? Otherwise add "${key}:" under top-level "${kind}s"`; // prettier-ignore
    report.error(`UNDEFINED_${kind.toUpperCase()}`, where, `there is no ${kind} "${key}"`, `${add}${hint === undefined ? '.' : `; ${hint}`}`, [also]); // prettier-ignore
  };
}
