import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserError } from '@boxship/model';
import { type Problem } from '@boxship/model';
import { composeConfig, findDockerComposes, type Config } from './fixtures/docker-compose.ts';
import { readComposeFile } from './index.ts';

/*
 * Several files as one: our Compose file for the device, read by Docker Compose, says what the original files say; and
 * what Docker Compose refuses, we refuse.
 */

interface Sample {
  readonly files: Readonly<Record<string, string>>;
  /** Files of `-f`, in order; the first alone when absent. */
  readonly main?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
}

/** Two files whose service `a` has these keys. */
function override(base: string, over: string, rest = ''): Sample {
  const service = (text: string) => `services:\n  a:\n${text.replace(/^/gm, '    ')}\n`;
  return {
    files: { 'compose.yaml': `${service(`image: x:1\n${base}`)}${rest}`, 'over.yaml': service(over) },
    main: ['compose.yaml', 'over.yaml'],
  };
}

const NET = 'networks: {front: {}, back: {}}\nvolumes: {vol: {}, other: {}}\n';

const SAMPLES: Readonly<Record<string, Sample>> = {
  'scalars are replaced': override('user: "1"\nread_only: false', 'user: "2"\nimage: y:2\nread_only: true'),
  'null says nothing': override('user: "1"', 'user:\nhostname: h'),
  'environment: map over map': override('environment: {A: "1", B: "2"}', 'environment: {B: "3", C: "4"}'),
  'environment: list over map': override('environment: {A: "1", B: "2"}', 'environment: [B=3, "C=a=b"]'),
  'environment: map over list': override('environment: [A=1, B=2]', 'environment: {B: 3, D: true}'),
  labels: override('labels: {a: "1"}', 'labels: ["a=2", "b"]'),
  'command, entrypoint and test are replaced': override(
    'command: [a, b]\nentrypoint: [e, f]\nhealthcheck: {test: [CMD, x], interval: 3s}',
    'command: c d\nentrypoint: [g]\nhealthcheck: {test: [CMD, y, z], retries: 2}',
  ),
  'ports: joined, one of a kind': override(
    'ports: ["80:80", "127.0.0.1:81:81"]',
    'ports: ["80:80", "82:80", {target: 81, published: "81", host_ip: 127.0.0.1, mode: host}, "81:81/udp"]',
  ),
  'volumes: one of a target': override(
    'volumes: ["vol:/data", "/srv:/srv"]',
    'volumes: ["other:/data:ro", {type: tmpfs, target: /tmp}, {type: bind, source: /opt, target: /srv}]',
    NET,
  ),
  'devices: one of a target': override('devices: ["/dev/a:/dev/x", /dev/b]', 'devices: ["/dev/c:/dev/x:r", "/dev/d"]'),
  'lists are joined': override(
    'cap_add: [A]\ndns: 1.1.1.1\ndns_search: [a.example]\ntmpfs: /run\nsecurity_opt: [a]\ngroup_add: [video]\nexpose: ["1"]',
    'cap_add: [B, A]\ndns: [8.8.8.8]\ndns_search: b.example\ntmpfs: [/tmp]\nsecurity_opt: [b]\ngroup_add: ["44"]\nexpose: ["2"]',
  ),
  'depends_on: list over map': override(
    'depends_on: {b: {condition: service_healthy}}',
    'depends_on: [c]',
    '  b: {image: x, healthcheck: {test: [CMD, t]}}\n  c: {image: x}\n',
  ),
  'depends_on: map over list': override('depends_on: [b, c]', 'depends_on: {b: {condition: service_completed_successfully}}', '  b: {image: x}\n  c: {image: x}\n'), // prettier-ignore
  'networks: map over list': override('networks: [front]', 'networks: {front: {aliases: [f]}, back: {priority: 5}}', NET), // prettier-ignore
  'aliases are joined': override('networks: {front: {aliases: [a, b]}}', 'networks: {front: {aliases: [c, b]}}', NET),
  'sysctls and ulimits': override(
    'sysctls: {net.core.somaxconn: 1}\nulimits: {nofile: {soft: 1, hard: 2}, nproc: 5}',
    'sysctls: ["net.core.somaxconn=2", "net.ipv4.ip_forward=1"]\nulimits: {nofile: 9, nproc: {soft: 1, hard: 2}}',
  ),
  'logging of one driver': override('logging: {driver: json-file, options: {max-size: 1m}}', 'logging: {options: {max-file: "2"}}'), // prettier-ignore
  'logging of another driver': override('logging: {driver: json-file, options: {max-size: 1m}}', 'logging: {driver: journald, options: {tag: t}}'), // prettier-ignore
  extra_hosts: override('extra_hosts: ["a=1.1.1.1"]', 'extra_hosts: {a: 2.2.2.2, b: 3.3.3.3}'),
  deploy: override(
    'deploy: {resources: {limits: {cpus: "0.5", memory: 50M}}}',
    'deploy: {resources: {limits: {memory: 60M, pids: 5}, reservations: {memory: 20M}}}',
  ),
  'reset': override('ports: ["80:80"]\nenvironment: {A: "1", B: "2"}\nuser: "1"\nlabels: {a: b}', 'ports: !reset []\nenvironment: {A: !reset null}\nuser: !reset ""\nlabels: !reset {}'), // prettier-ignore
  'reset of a service': {
    files: { 'compose.yaml': 'services: {a: {image: x}, b: {image: y}}\n', 'over.yaml': 'services:\n  b: !reset {}\n' },
    main: ['compose.yaml', 'over.yaml'],
  },
  'override': override('ports: ["80:80"]\nenvironment: {A: "1"}\ncap_add: [A]', 'ports: !override ["81:81"]\nenvironment: !override {B: "2"}\ncap_add: !override [B]'), // prettier-ignore
  'top-level resources': {
    files: {
      'compose.yaml':
        'services: {a: {image: x, networks: [n], volumes: ["vol:/v"]}}\nnetworks: {n: {labels: {a: "1"}, ipam: {config: [{subnet: 10.1.0.0/24}]}}}\nvolumes: {vol: {driver_opts: {type: tmpfs, device: tmpfs}, labels: [a=1]}}\n',
      'over.yaml':
        'networks: {n: {internal: true, labels: ["b=2"], ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.1.0.1}]}}}\nvolumes: {vol: {driver_opts: {o: size=1m}, labels: {a: "2"}}}\n',
    },
    main: ['compose.yaml', 'over.yaml'],
  },
  'three files, and services of each': {
    files: {
      'compose.yaml': 'services: {a: {image: x, environment: {A: "1"}}}\n',
      'b.yaml': 'services: {a: {environment: {A: "2"}}, b: {image: y}}\n',
      'c.yaml': 'services: {a: {environment: {A: "3"}}, b: {user: "7"}, c: {image: z}}\n',
    },
    main: ['compose.yaml', 'b.yaml', 'c.yaml'],
  },
  'several documents in one file': {
    files: {
      'compose.yaml': 'services: {a: {image: x, user: "1"}}\n---\nservices: {a: {user: "2"}, b: {image: y}}\n',
    },
  },
  'an unset variable that is overridden': {
    ...override('environment: {A: "${NOT_SET:-1}"}', 'environment: {A: "$B"}'),
    env: { B: 'two' },
  },
  'files in a folder below': {
    files: {
      'compose.yaml': 'services: {a: {image: x, volumes: ["./conf:/conf:ro"], env_file: sub/e.env}}\n',
      'sub/over.yaml': 'services: {a: {volumes: ["./sub/more:/more:ro"], env_file: [f.env]}}\n',
      'conf/c': '1',
      'sub/more/m': '2',
      'sub/e.env': 'E=1\n',
      'f.env': 'F=1\n',
    },
    main: ['compose.yaml', 'sub/over.yaml'],
  },
  'extends: of the same file, in a chain': {
    files: {
      'compose.yaml': [
        'services:',
        '  base: {image: x, environment: {A: "1"}, ports: ["1:1"], profiles: [never], command: [a]}',
        '  mid: {extends: base, environment: {B: "2"}, profiles: [never], command: [b]}',
        '  top:',
        '    extends: {service: mid}',
        '    environment: [A=3]',
        '    ports: !override ["2:2"]',
        '    profiles: !reset []',
      ].join('\n'),
    },
  },
  'extends: of another file, whose paths are its own': {
    files: {
      'compose.yaml': [
        'services:',
        '  a: {extends: {file: common/base.yaml, service: web}, user: "5", volumes: ["./own:/own:ro"]}',
        'volumes: {vol: {}}',
      ].join('\n'),
      'common/base.yaml': [
        'services:',
        '  web:',
        '    extends: {file: deep/root.yaml, service: root}',
        '    image: x:${TAG:-1}',
        '    env_file: [web.env, {path: none.env, required: false}]',
        '    volumes: ["./conf:/conf:ro", "vol:/v", {type: bind, source: ./two, target: /two, read_only: true}]',
        '  unused: {image: "${NEVER:-x}"}',
      ].join('\n'),
      'common/deep/root.yaml':
        'services: {root: {user: "1", volumes: ["./d:/d:ro"], env_file: d.env, labels: {from: root}}}\n',
      'common/deep/d/x': 'd',
      'common/deep/d.env': 'D=deep\n',
      'common/web.env': 'W=web\n',
      'common/conf/c': 'c',
      'common/two/t': 't',
      'own/o': 'o',
      '.env': 'TAG=2\n',
    },
  },
  'extends: with an override of both': {
    files: {
      'compose.yaml': 'services: {a: {extends: b, image: x, labels: {l: "1"}}, b: {image: y, cap_add: [A], labels: {m: "2"}}}\n', // prettier-ignore
      'over.yaml': 'services: {a: {labels: {m: "3"}, cap_add: [B]}, b: {user: "2"}}\n',
    },
    main: ['compose.yaml', 'over.yaml'],
  },
  'include: short and long, with paths and variables of their own': {
    files: {
      'compose.yaml': [
        'include:',
        '  - db/compose.yaml',
        '  - path: [mq/compose.yaml, mq-over.yaml]',
        '    project_directory: mq',
        '    env_file: mq.env',
        'services:',
        '  a: {image: "x:${TAG}", depends_on: [db, mq]}',
      ].join('\n'),
      '.env': 'TAG=main\nWHO=main\n',
      'db/compose.yaml': 'services: {db: {image: "db:${TAG}-${DB_TAG}", environment: {WHO: "$WHO"}, volumes: ["data:/data", "./init:/init:ro"], networks: [store]}}\nvolumes: {data: {}}\nnetworks: {store: {}}\n', // prettier-ignore
      'db/.env': 'TAG=db\nDB_TAG=7\nWHO=db\n',
      'db/init/i': '1',
      'mq/compose.yaml': 'services: {mq: {image: "mq:${MQ:-0}", env_file: e.env, configs: [c]}}\nconfigs: {c: {file: ./c.conf}}\n', // prettier-ignore
      'mq/e.env': 'E=1\n',
      'mq/c.conf': 'c',
      'mq-over.yaml': 'services: {mq: {user: "3"}}\n',
      'mq.env': 'MQ=9\n',
    },
  },
  'include: of an include, and one file twice': {
    files: {
      'compose.yaml': 'include: [b/b.yaml, c/c.yaml]\nservices: {a: {image: x}}\n',
      'b/b.yaml': 'include: [../common.yaml]\nservices: {b: {image: x}}\n',
      'c/c.yaml': 'include: [../common.yaml]\nservices: {c: {image: x}}\n',
      'common.yaml': 'services: {common: {image: "x:1"}}\n',
    },
  },
  'include: an override of the including file': {
    files: {
      'compose.yaml': 'include: [b.yaml]\nservices: {a: {image: x, networks: [n]}}\nnetworks: {n: }\n',
      'b.yaml': 'services: {b: {image: y, networks: [n]}}\nnetworks: {n: }\n',
      'over.yaml': 'services: {a: {user: "4"}}\n',
    },
    main: ['compose.yaml', 'over.yaml'],
  },
  profiles: {
    files: {
      'compose.yaml': 'services: {a: {image: x}, b: {image: y, profiles: [p, q]}, c: {image: z, profiles: [r]}}\n',
      'over.yaml': 'services: {b: {user: "1"}}\n',
    },
    main: ['compose.yaml', 'over.yaml'],
    profiles: ['q'],
  },
  'anchors and merge keys, and an override over them': {
    files: {
      'compose.yaml': [
        'x-e: &e {A: "1", B: "2"}',
        'x-s: &s {restart: always, environment: {<<: *e, B: "3"}}',
        'x-l: &l {labels: {l: "1"}}',
        'services:',
        '  a: {<<: [*s, *l], image: x}',
        '  b: {<<: *s, image: y, environment: *e}',
      ].join('\n'),
      'over.yaml': 'services: {a: {environment: {C: "4"}}}\n',
    },
    main: ['compose.yaml', 'over.yaml'],
  },
};

/** `CODE` and what `docker compose` must say of it too. */
const REFUSALS: Readonly<Record<string, Sample & { readonly code: string; readonly at?: string }>> = {
  'a service of the include that is there already': {
    code: 'DUPLICATE_SERVICE',
    at: 'b.yaml:1:12',
    files: {
      'compose.yaml': 'include: [b.yaml]\nservices: {a: {image: x}}\n',
      'b.yaml': 'services: {a: {image: y}}\n',
    },
  },
  'files that include each other': {
    code: 'INCLUDE_CYCLE',
    files: {
      'compose.yaml': 'include: [b.yaml]\nservices: {a: {image: x}}\n',
      'b.yaml': 'include: [c.yaml]\nservices: {b: {image: x}}\n',
      'c.yaml': 'include: [compose.yaml]\nservices: {c: {image: x}}\n',
    },
  },
  'services that extend each other': {
    code: 'EXTENDS_CYCLE',
    files: { 'compose.yaml': 'services: {a: {extends: b, image: x}, b: {extends: c}, c: {extends: a}}\n' },
  },
  'services of two files that extend each other': {
    code: 'EXTENDS_CYCLE',
    files: {
      'compose.yaml': 'services: {a: {image: x, extends: {file: o.yaml, service: b}}}\n',
      'o.yaml': 'services: {b: {image: x, extends: {file: compose.yaml, service: a}}}\n',
    },
  },
  'extends of nothing': {
    code: 'UNDEFINED_SERVICE',
    files: { 'compose.yaml': 'services: {a: {image: x, extends: b}}\n' },
  },
  'extends of nothing in a file': {
    code: 'UNDEFINED_SERVICE',
    files: { 'compose.yaml': 'services: {a: {image: x, extends: {file: o.yaml, service: n}}}\n', 'o.yaml': 'services: {}\n' }, // prettier-ignore
  },
  'an include that is not there': { code: 'FILE_MISSING', files: { 'compose.yaml': 'include: [n.yaml]\nservices: {a: {image: x}}\n' } }, // prettier-ignore
  'a map over a list': { code: 'CANNOT_MERGE', ...override('cap_add: [A]', 'cap_add: {A: 1}') },
  'a list over a map': { code: 'CANNOT_MERGE', ...override('healthcheck: {test: x}', 'healthcheck: [x]') },
  'a volume of the extended service that is not declared': {
    code: 'UNDEFINED_VOLUME',
    files: { 'compose.yaml': 'services: {a: {image: x, extends: {file: o.yaml, service: b}}}\n', 'o.yaml': 'services: {b: {volumes: ["vol:/v"]}}\nvolumes: {vol: {}}\n' }, // prettier-ignore
  },
  'a required variable of an inactive service': {
    code: 'REQUIRED_VARIABLE',
    files: { 'compose.yaml': 'services: {a: {image: x}, b: {image: "${NO:?say}", profiles: [p]}}\n' },
  },
};

const composes = await findDockerComposes();

describe('without Docker Compose', () => {
  it.skipIf(composes.length > 0)('these tests would say nothing: run npm run setup', () => undefined);
});

describe.each(composes)('$name', (compose) => {
  let top = '';
  beforeAll(async () => {
    top = await mkdtemp(join(tmpdir(), 'boxship-merge-'));
  });
  afterAll(() => rm(top, { recursive: true, force: true }));

  async function write(sample: Sample): Promise<string> {
    const folder = await mkdtemp(join(top, 'project-'));
    for (const [path, text] of Object.entries(sample.files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return folder;
  }
  const read = (folder: string, { files, main, env, profiles }: Sample) => {
    const [first, ...overrides] = main ?? [Object.keys(files)[0]!];
    return readComposeFile({
      path: join(folder, first!),
      overrides,
      projectName: 'p',
      ...(env ? { environment: env } : {}),
      ...(profiles ? { profiles } : {}),
    });
  };
  const ask = (folder: string, { files, main, env, profiles }: Sample) =>
    composeConfig(compose, { files: main ?? [Object.keys(files)[0]!], folder, name: 'p', env: env ?? {}, profiles: profiles ?? [] }); // prettier-ignore

  it.each(Object.entries(SAMPLES))('%s', async (_, sample) => {
    const folder = await write(sample);
    const theirs = await ask(folder, sample);
    const app = read(folder, sample);
    const device = await mkdtemp(join(top, 'device-'));
    await writeFile(join(device, 'compose.yaml'), app.composeBytes);
    const ours = await composeConfig(compose, { files: ['compose.yaml'], folder: device, name: 'p' });
    expect(theirs).toHaveProperty('config');
    expect(ours).toHaveProperty('config');
    const tidy = (config: Config, from: string) =>
      JSON.parse(JSON.stringify(config).replaceAll(`${from}/`, '/run/boxship/store/apps/p/files/'), (key, item: unknown) =>
        ['pull_policy', 'profiles'].includes(key) || key.startsWith('x-') ? undefined : item) as unknown; // prettier-ignore
    expect(tidy((ours as { config: Config }).config, device)).toEqual(tidy((theirs as { config: Config }).config, folder)); // prettier-ignore
  });

  it.each(Object.entries(REFUSALS))('refuses, as we do: %s', async (_, sample) => {
    const folder = await write(sample);
    expect(await ask(folder, sample)).toHaveProperty('refusal');
    let problems: readonly Problem[] = [];
    try {
      read(folder, sample);
    } catch (error) {
      problems = (error as UserError).problems;
    }
    expect(problems.map(({ code }) => code)).toEqual([sample.code]);
    expect(problems[0]?.where?.line ?? (sample.code === 'FILE_MISSING' ? 1 : undefined)).toBeGreaterThan(0);
    if (sample.at) expect(`${problems[0]!.where!.file}:${problems[0]!.where!.line}:${problems[0]!.where!.column}`).toBe(join(folder, sample.at)); // prettier-ignore
  });
});
