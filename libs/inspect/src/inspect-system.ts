import { readDeviceFacts, type RootfsReader } from '@boxship/filesystem';
import { findEngineStores } from './engine-stores.ts';
import type { InspectedSystem } from './inspection.ts';

/** What a file system says of the system in it; undefined when there is neither a system nor an engine's store. */
export async function inspectSystem(files: RootfsReader): Promise<InspectedSystem | undefined> {
  const facts = await readDeviceFacts(files);
  const { osRelease, engines, init, systemdVersion, kernelVersion, kernelArchitecture, socketVersion } = facts;
  const hasSystem = Object.keys(osRelease).length > 0 || engines.length > 0 || facts.ostree;
  const stores = await findEngineStores(files);
  if (!hasSystem && stores.length === 0) return undefined;
  const name = osRelease['PRETTY_NAME'] ?? osRelease['NAME'];
  const version = osRelease['VERSION_ID'];
  return {
    ...(name === undefined ? {} : { name }),
    ...(osRelease['ID'] === undefined ? {} : { id: osRelease['ID'] }),
    ...(version === undefined ? {} : { version }),
    ...(hasSystem ? { init } : {}),
    ...(systemdVersion === undefined ? {} : { systemdVersion }),
    ...(kernelVersion === undefined ? {} : { kernelVersion }),
    ...(kernelArchitecture === undefined ? {} : { kernelArchitecture }),
    ...(facts.ostree ? { ostree: true } : {}),
    ...(facts.readOnlyRoot ? { readOnlyRoot: true } : {}),
    ...(socketVersion === undefined ? {} : { socketVersion }),
    engines: engines.map((engine) => ({
      name: engine.name,
      ...(engine.version === undefined ? {} : { version: engine.version }),
      program: engine.program,
    })),
    stores,
  };
}
