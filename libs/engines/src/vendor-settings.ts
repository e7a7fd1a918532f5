import { isInside, type EngineSocket } from '@boxship/device-socket';
import { UserError, type DeviceFacts, type EngineFacts, type Problem } from '@boxship/model';

/** A vendor's setting that would keep the engine from our store. `store` completes "the store, which …". */
export function engineConflict(setting: string, store: string): Problem {
  return {
    code: 'ENGINE_CONFLICT',
    message: `${setting} in the base image collides with the store, which ${store}`,
    hint: 'Remove the setting from the base image.',
  };
}

/** Conflicts with the mounts of the vendor's fstab: a unit made of it wins over one of ours. */
export function mountConflicts(facts: DeviceFacts, { mounts }: EngineSocket): Problem[] {
  return (facts.mountPoints ?? [])
    .filter((point) => mounts.some(({ at }) => isInside(point, at)))
    .map((point) => engineConflict(`the mount of ${point} (/etc/fstab)`, 'is mounted there'));
}

/** Conflicts with a vendor's configuration of containerd that keeps its images elsewhere. */
export function containerdRootConflicts(facts: DeviceFacts, root: string): Problem[] {
  const config = facts.engines.find(({ name }) => name === 'containerd')?.containerdConfig;
  if (config?.root === undefined || config.root.replace(/\/+$/, '') === root) return [];
  return [engineConflict(`root = ${JSON.stringify(config.root)} (${config.file})`, `is mounted at ${root}`)];
}

/** The engine as the base image has it. Errors: ENGINE_MISSING; `program` says what was looked for. */
export function requireEngine(facts: DeviceFacts, name: string, program: string): EngineFacts {
  const found = facts.engines.find((engine) => engine.name === name);
  if (found) return found;
  throw new UserError(
    'ENGINE_MISSING',
    `the base image has no ${name} engine (${program} is in none of its program folders)`,
    `Add ${name} to the base image, or build the base image with the generated Yocto layer.`,
  );
}
