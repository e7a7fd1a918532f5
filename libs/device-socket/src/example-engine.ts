import type { EngineSocket } from './engine-socket.ts';

/** For tests: an engine that asks for all that a socket can do. */
export const exampleEngine: EngineSocket = {
  mounts: [
    { from: 'store', folder: 'moored/state', at: '/var/lib/moored', mode: 0o710, description: 'Images of moored' },
    { from: 'data', folder: 'moored-volumes', at: '/var/lib/moored/volumes', mode: 0o701, description: 'Volumes of moored' },
    { from: 'data', folder: 'moored/server', at: '/var/lib/other-place', mode: 0o700, description: 'Server state' },
  ],
  units: [
    { name: 'moored.service', after: ['/var/lib/moored', '/var/lib/moored/volumes'] },
    { name: 'moored.socket' },
  ],
  writable: ['/etc/moored'],
}; // prettier-ignore
