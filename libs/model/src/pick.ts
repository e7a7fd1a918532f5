import { UserError } from './user-error.ts';

/** The member of a registry, or an error that names the known members. */
export function pick<T>(kind: string, registry: Readonly<Record<string, T>>, name: string): T {
  if (Object.hasOwn(registry, name)) return registry[name] as T;
  const known = Object.keys(registry).sort().join(', ');
  throw new UserError(`UNKNOWN_${kind.toUpperCase()}`, `there is no ${kind} "${name}"`, `Known: ${known}.`);
}
