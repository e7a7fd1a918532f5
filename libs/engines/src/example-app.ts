import type { App, Digest, Service } from '@boxship/model';

/* For tests: an app of everything that an engine may be asked for, and a small one. */

export const IMAGE = 'docker.io/library/busybox:1.36';
export const IMAGE_ID: Digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

export function service(name: string, rest: Partial<Service> = {}): Service {
  return {
    name,
    where: { file: 'compose.yaml' },
    image: IMAGE,
    environment: {},
    ports: [],
    mounts: [],
    networks: [{ name: 'gateway_default', aliases: [] }],
    dependsOn: [],
    restart: 'no',
    labels: {},
    settings: {},
    ...rest,
  };
}

const network = (name: string, rest = {}) => ({ name: `gateway_${name}`, external: false, internal: false, driverOptions: {}, ...rest }); // prettier-ignore

/** Every character that a unit, a shell or Compose could take for something else. */
export const NASTY = `a"b'c%n%%d$HOME\${X}$$e\\f;g # h\tTab\nLine\u0001é💡 ; & \`id\` $(id) *`;

export const GATEWAY: App = {
  name: 'gateway',
  composeFile: 'compose.yaml',
  composeBytes: Buffer.from('name: gateway\n'),
  files: [{ path: 'files/with space/café.conf', mode: 0o644, bytes: Buffer.from('a = 1\n') }],
  networks: [
    network('back', { internal: true, ipam: { options: {}, pools: [{ subnet: '172.28.0.0/24', auxAddresses: {} }] } }),
    network('default'),
    { ...network('x'), name: 'plant', external: true },
  ],
  volumes: [{ name: 'gateway_data', external: false, driverOptions: { type: 'tmpfs', o: 'size=1m,uid=1000' } }],
  services: [
    service('app', {
      containerName: 'the-app',
      command: ['--say', NASTY, ''],
      entrypoint: ['/bin/app', '-v'],
      environment: { EMPTY: '', MESSAGE: NASTY, PATH: '/bin' },
      labels: { 'org.example.note': '50% "off"' },
      ports: [
        { published: '8080', target: '80', protocol: 'tcp' },
        { hostIp: '::1', published: '9000-9002', target: '9000-9002', protocol: 'udp' },
        { hostIp: '127.0.0.1', target: '5', protocol: 'tcp' },
        { target: '6', protocol: 'sctp' },
      ],
      mounts: [
        { type: 'volume', source: 'gateway_data', target: '/data', readOnly: false },
        { type: 'volume', source: '', target: '/scratch', readOnly: false },
        {
          type: 'bind',
          source: '/run/boxship/store/apps/gateway/files/with space',
          target: '/etc/app',
          readOnly: true,
        },
        { type: 'bind', source: '/srv', target: '/srv', readOnly: false, propagation: 'rslave' },
        { type: 'tmpfs', target: '/tmp', size: 1048576, mode: 0o1777 },
      ],
      networks: [
        { name: 'gateway_back', aliases: ['api'] },
        { name: 'gateway_default', aliases: [] },
        { name: 'plant', aliases: [] },
      ],
      dependsOn: [
        { service: 'db', condition: 'service_healthy', required: true },
        { service: 'migrate', condition: 'service_completed_successfully', required: true },
        { service: 'metrics', condition: 'service_started', required: false },
      ],
      restart: 'always',
      healthcheck: { test: ['CMD', 'curl', '-f', "http://localhost/it's"], interval: '10s', timeout: '1s', startPeriod: '500ms', retries: 3 }, // prettier-ignore
      settings: { platform: 'linux/amd64', privileged: true, capAdd: ['NET_ADMIN'], stopGracePeriod: 90 },
    }),
    service('db', {
      restart: 'unless-stopped',
      healthcheck: { test: ['CMD-SHELL', 'pg_isready || exit 1'] },
      mounts: [{ type: 'volume', source: 'gateway_data', target: '/data', readOnly: true, noCopy: true }],
    }),
    service('metrics', {
      networks: [],
      networkMode: 'host',
      restart: 'on-failure',
      restartMaxAttempts: 3,
      healthcheck: { test: [], disable: true },
      settings: { logging: { driver: 'journald', options: { tag: 'metrics' } } },
    }),
    service('migrate', { restart: 'on-failure', entrypoint: [], command: ['/bin/migrate'] }),
    service('vault', {
      secrets: [
        {
          name: 'token',
          target: '/run/secrets/token',
          place: { from: 'data', path: '/run/boxship/data/secrets/gateway/token' },
        },
        { name: 'key', target: '/etc/key', place: { from: 'credential', credential: 'acme.key' } },
      ],
    }),
    service('sensor', { deviceNodes: ['/dev/i2c-*', '/dev/ttyS[01]'], deviceClasses: ['i2c', 'serial'] }),
    service('shell', { networks: [], networkMode: 'none', settings: { tty: true, stdinOpen: true } }),
  ],
};

export const HELLO: App = {
  ...GATEWAY,
  name: 'hello',
  files: [],
  networks: [{ ...network('default'), name: 'hello_default' }],
  volumes: [],
  services: [service('web', { networks: [{ name: 'hello_default', aliases: [] }], restart: 'always' })],
};
