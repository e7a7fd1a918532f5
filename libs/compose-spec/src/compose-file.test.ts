import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError, type App, type Problem } from '@boxship/model';
import { openAppFolder, readComposeFile, type AppFolder, type ComposeFileInput } from './index.ts';

const NOTHING: AppFolder = { read: () => undefined };

function folderOf(files: Readonly<Record<string, string>>): AppFolder {
  return {
    read(path) {
      const text = files[path];
      if (text !== undefined) return { kind: 'file', bytes: Buffer.from(text), executable: path.endsWith('.sh') };
      const below = Object.keys(files).filter((name) => path === '.' || name.startsWith(`${path}/`));
      const rest = below.map((name) => (path === '.' ? name : name.slice(path.length + 1)).split('/')[0]!);
      return below.length > 0 ? { kind: 'directory', names: [...new Set(rest)].sort() } : undefined;
    },
  };
}

function read(text: string | Uint8Array, rest: Partial<ComposeFileInput> = {}): App {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return readComposeFile({ path: 'compose.yaml', projectName: 'app', bytes, folder: NOTHING, ...rest });
}

function problems(text: string | Uint8Array, rest: Partial<ComposeFileInput> = {}): readonly Problem[] {
  try {
    read(text, rest);
  } catch (error) {
    if (error instanceof UserError) return error.problems;
    throw error;
  }
  return [];
}

/** `line:column CODE` of each problem. */
const told = (...args: Parameters<typeof problems>) =>
  problems(...args).map(({ code, where }) => `${where?.line ?? ''}:${where?.column ?? ''} ${code}`);

/** One service with these keys, which start at line 3, column 15. */
const keys = (text: string) => `services:\n  a:\n    image: x:1\n${text.replace(/^/gm, '    ')}\n`;

describe('a mistake is told with its place', () => {
  it.each([
    ['unknown key', keys('imagee: y'), '4:5 UNKNOWN_KEY'],
    ['unknown top-level key', 'service:\n  a: {image: x}\n', '1:1 UNKNOWN_KEY'],
    ['extends of nothing', keys('extends: {service: b}'), '4:24 UNDEFINED_SERVICE'],
    ['extends without a service', keys('extends: {file: x.yaml}'), '4:5 BAD_VALUE'],
    ['extends of a file that is not there', keys('extends: {file: x.yaml, service: b}'), '4:21 FILE_MISSING'],
    ['extends itself', keys('extends: {service: a}'), '4:5 EXTENDS_CYCLE'],
    ['unsupported key: links', keys('links: [b]'), '4:5 UNSUPPORTED_KEY'],
    ['unsupported key: volumes_from', keys('volumes_from: [b]'), '4:5 UNSUPPORTED_KEY'],
    ['unsupported key: develop', keys('develop: {watch: []}'), '4:5 UNSUPPORTED_KEY'],
    ['unsupported key: credential_spec', keys('credential_spec: {file: x}'), '4:5 UNSUPPORTED_KEY'],
    ['include of a file that is not there', 'include: [x.yaml]\nservices: {a: {image: x}}', '1:11 FILE_MISSING'],
    ['unknown tag', keys('user: !deny x'), '4:17 BAD_YAML'],
    ['scale', keys('scale: 2'), '4:5 UNSUPPORTED_VALUE'],
    ['replicas', keys('deploy: {replicas: 3}'), '4:24 UNSUPPORTED_VALUE'],
    ['placement', keys('deploy: {placement: {}}'), '4:14 UNSUPPORTED_KEY'],
    ['no image', 'services:\n  a:\n    command: x\n', '2:3 IMAGE_MISSING'],
    ['build without image', 'services:\n  a:\n    build: .\n', '2:3 IMAGE_MISSING'],
    ['bad image', 'services: {a: {image: "UPPER/case"}}', '1:23 BAD_IMAGE'],
    ['image with spaces', 'services: {a: {image: "a b"}}', '1:23 BAD_IMAGE'],
    ['empty file', '', '1:1 EMPTY_FILE'],
    ['comment only', '# nothing\n', '1:1 EMPTY_FILE'],
    ['no services', 'volumes: {}\n', '1:1 NO_SERVICES'],
    ['a list', '- a\n', '1:1 WRONG_TYPE'],
    ['service that is no map', 'services:\n  a: nginx\n', '2:3 WRONG_TYPE'],
    ['null service', 'services:\n  a:\n', '2:3 WRONG_TYPE'],
    ['duplicate service', 'services:\n  a: {image: x}\n  a: {image: y}\n', '3:3 DUPLICATE_KEY'],
    ['duplicate key', keys('user: "1"\nuser: "2"'), '5:5 DUPLICATE_KEY'],
    ['bad YAML', 'services:\n  a: {image: x\n', '3:1 BAD_YAML'],
    ['unknown alias', 'services:\n  a: *nope\n', '2:6 BAD_YAML'],
    ['merge of a scalar', keys('<<: 1'), '4:9 BAD_MERGE'],
    ['depends on nothing', keys('depends_on: [b]'), '4:18 UNDEFINED_SERVICE'],
    ['undefined network', keys('networks: [back]'), '4:16 UNDEFINED_NETWORK'],
    ['undefined volume', keys('volumes: ["data:/d"]'), '4:15 UNDEFINED_VOLUME'],
    ['undefined config', keys('configs: [c]'), '4:15 UNDEFINED_CONFIG'],
    ['undefined secret', keys('secrets: [c]'), '4:15 UNDEFINED_SECRET'],
    ['relative bind mount that is not there', keys('volumes: ["./x:/x"]'), '4:15 FILE_MISSING'],
    ['bind mount outside', keys('volumes: ["../x:/x"]'), '4:15 PATH_OUTSIDE'],
    ['sneaky bind mount outside', keys('volumes: ["./a/../../x:/x"]'), '4:15 PATH_OUTSIDE'],
    ['home directory', keys('volumes: ["~/x:/x"]'), '4:15 BAD_VOLUME'],
    ['volume of one letter', `${keys('volumes: ["v:/v"]')}volumes: {v: {}}`, '4:15 BAD_VOLUME'],
    ['relative target', keys('volumes: ["/x:x"]'), '4:15 BAD_VOLUME'],
    ['mount over the root', keys('volumes: ["/x:/"]'), '4:15 BAD_VOLUME'],
    ['volume option', keys('volumes: ["/x:/y:rx"]'), '4:15 BAD_VOLUME'],
    ['selinux label', keys('volumes: ["/x:/y:z"]'), '4:15 UNSUPPORTED_VALUE'],
    ['two mounts at one place', keys('volumes: ["/x:/y", "/z:/y/"]'), '4:24 DUPLICATE_MOUNT'],
    ['volume without type', keys('volumes: [{source: /x, target: /y}]'), '4:15 BAD_VOLUME'],
    ['image mount', keys('volumes: [{type: image, source: x, target: /y}]'), '4:15 UNSUPPORTED_VALUE'],
    ['port 0', keys('ports: ["1:0"]'), '4:13 BAD_PORT'],
    ['port 65536', keys('ports: ["65536:1"]'), '4:13 BAD_PORT'],
    ['port of letters', keys('ports: ["http:80"]'), '4:13 BAD_PORT'],
    ['port ranges of two lengths', keys('ports: ["1-3:1-2"]'), '4:13 BAD_PORT'],
    ['backward range', keys('ports: ["3-1:3-1"]'), '4:13 BAD_PORT'],
    ['no IP', keys('ports: ["1.2.3:1:1"]'), '4:13 BAD_PORT'],
    ['protocol', keys('ports: ["1:1/icmp"]'), '4:13 BAD_PORT'],
    ['port without target', keys('ports: [{published: "1"}]'), '4:13 BAD_PORT'],
    ['port twice', keys('ports: ["80:1", "80:2"]'), '4:5 PORT_CONFLICT'],
    ['ports on the host network', keys('ports: ["80:1"]\nnetwork_mode: host'), '4:5 CONFLICT'],
    ['network_mode and networks', keys('networks: [default]\nnetwork_mode: none'), '4:5 CONFLICT'],
    ['number for a string', keys('user: 1000'), '4:11 WRONG_TYPE'],
    ['word for a number', keys('pids_limit: many'), '4:17 WRONG_TYPE'],
    ['yes for true', keys('privileged: yes'), '4:17 WRONG_TYPE'],
    ['size', keys('mem_limit: lots'), '4:16 WRONG_TYPE'],
    ['duration', keys('stop_grace_period: soon'), '4:24 WRONG_TYPE'],
    ['out of range', keys('oom_score_adj: 1001'), '4:20 OUT_OF_RANGE'],
    ['octal environment', keys('environment: {A: 0777}'), '4:22 AMBIGUOUS_VALUE'],
    ['date in environment', keys('environment: {A: 2020-01-01}'), '4:22 AMBIGUOUS_VALUE'],
    ['variable from the host', keys('environment: [PATH]'), '4:19 VARIABLE_WITHOUT_VALUE'],
    ['variable from the host, map', keys('environment:\n  HOME:'), '5:7 VARIABLE_WITHOUT_VALUE'],
    ['env_file that is not there', keys('env_file: app.env'), '4:15 FILE_MISSING'],
    ['unset variable', keys('user: "${NOBODY}"'), '4:11 UNSET_VARIABLE'],
    ['the host has PATH', keys('user: "$PATH"'), '4:11 UNSET_VARIABLE'],
    ['required variable', keys('user: "${U:?set it}"'), '4:11 REQUIRED_VARIABLE'],
    ['lone dollar', keys('user: "a $ b"'), '4:11 BAD_INTERPOLATION'],
    ['open brace', keys('user: "${U:-x"'), '4:11 BAD_INTERPOLATION'],
    ['command with a shell word', keys('command: a && b'), '4:14 BAD_COMMAND'],
    ['command with a subshell', keys('command: a (b)'), '4:14 BAD_COMMAND'],
    ['command with an open quote', keys(`command: a "b`), '4:14 BAD_COMMAND'],
    ['empty command', keys('command: []'), '4:5 UNSUPPORTED_VALUE'],
    ['restart', keys('restart: sometimes'), '4:14 BAD_VALUE'],
    ['condition', keys('depends_on: {a: {condition: service_health}}'), '4:33 BAD_VALUE'],
    ['health check words', keys('healthcheck: {test: [curl, x]}'), '4:25 BAD_HEALTHCHECK'],
    ['device', keys('devices: [ttyS0]'), '4:15 BAD_DEVICE'],
    ['device class', keys('x-boxship: {devices: [gpios]}'), '4:27 UNKNOWN_DEVICE_CLASS'],
    ['a CAN bus without the network of the machine', keys('x-boxship: {devices: [can]}'), '4:27 CONFLICT'],
    ['x-boxship key', keys('x-boxship: {device: [can]}'), '4:17 UNKNOWN_KEY'],
    ['rule for devices', keys('device_cgroup_rules: ["c 81 rwm"]'), '4:27 BAD_DEVICE'],
    ['host', keys('extra_hosts: [plc]'), '4:19 BAD_VALUE'],
    ['limits that differ', keys('mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}'), '5:5 CONFLICT'],
    ['bad container name', keys('container_name: "a b"'), '4:21 BAD_NAME'],
    ['bad service name', 'services: {"a/b": {image: x}}', '1:12 BAD_NAME'],
    ['volume driver', `${keys('volumes: ["vol:/v"]')}volumes: {vol: {driver: nfs}}`, '5:25 UNSUPPORTED_VALUE'],
    ['external config', `${keys('user: "1"')}configs: {c: {external: true}}`, '5:11 UNSUPPORTED_VALUE'],
    ['config of two sources', `${keys('user: "1"')}configs: {c: {file: ./a, content: b}}`, '5:11 BAD_CONFIG'],
    ['NUL character', keys('user: "a\\0b"'), '4:11 BAD_TEXT'],
  ])('%s', (_, text, place) => {
    expect(told(text).filter((line) => !/NO_SERVICES|DEPENDENCY_CYCLE/.test(line) || line === place)).toEqual([place]);
    for (const problem of problems(text)) expect(problem.hint, problem.message).toBeTruthy();
  });

  it('all at once, in the order of their lines, and once for an anchor used twice', () => {
    const text = 'x-a: &a {user: "${NO}"}\nservices:\n  b: {<<: *a, image: x, prots: []}\n  c: {<<: *a}\n';
    expect(told(text)).toEqual(['1:16 UNSET_VARIABLE', '3:25 UNKNOWN_KEY', '4:3 IMAGE_MISSING']);
  });

  it('with what was meant', () => {
    expect(problems(keys('enviroment: {}'))[0]?.hint).toBe('Did you mean "environment"?');
    expect(problems(keys('restart: unless-stoped'))[0]?.hint).toBe('Did you mean "unless-stopped"?');
    expect(problems(keys('qwertyuiop: 1'))[0]?.hint).toMatch(/^Known keys: /);
  });

  it('services in a circle, and container names twice', () => {
    const circle = 'services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, network_mode: "service:c"}\n  c: {image: x, depends_on: [a]}\n'; // prettier-ignore
    expect(problems(circle).map(({ code, message }) => [code, message])).toEqual([['DEPENDENCY_CYCLE', 'services wait for each other: a -> b -> c -> a']]); // prettier-ignore
    expect(told('services:\n  a: {image: x}\n  b: {image: x, container_name: app-a-1}\n')).toEqual(['3:17 DUPLICATE_CONTAINER']); // prettier-ignore
  });

  it('a port that two services publish, on one address or on all', () => {
    const two = (a: string, b: string) => told(`services:\n  a: {image: x, ports: ["${a}"]}\n  b: {image: x, ports: ["${b}"]}\n`); // prettier-ignore
    expect(two('80:1', '127.0.0.1:80:2')).toEqual(['3:17 PORT_CONFLICT']);
    expect(two('8000-8010:1-11', '8005:2')).toEqual(['3:17 PORT_CONFLICT']);
    expect(two('192.0.2.1:80:1', '192.0.2.2:80:2')).toEqual([]);
    expect(two('80:1', '80:2/udp')).toEqual([]);
  });
});

describe('hostile files', () => {
  it('a billion laughs', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `x-${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`,
    );
    const text = `x-0: &a0 [lol, lol]\n${levels.join('\n')}\nservices: {a: {image: x}}\n`;
    expect(told(text).map((line) => line.split(' ')[1])).toEqual(['TOO_MANY_VALUES']);
  });

  it('an anchor that contains itself', () => {
    expect(told('services:\n  a: &a\n    image: x\n    labels: *a\n')).toContain('4:13 BAD_YAML');
  });

  it('nesting without end', () => {
    const found = told(`services: ${'['.repeat(20_000)}`);
    expect(new Set(found.map((line) => line.split(' ')[1]))).toEqual(new Set(['BAD_YAML']));
  });

  it('bytes that are no UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('services:\n  a:\n    image: '), Buffer.from([0xe9, 0x0a])]);
    expect(told(bytes)).toEqual(['3: BAD_ENCODING']);
    expect(told(Buffer.from('services: {}', 'utf16le'))).not.toEqual([]);
  });

  it('a file that is too large', () => {
    expect(told(Buffer.alloc(5 * 1024 * 1024, 0x20))).toEqual([': FILE_TOO_LARGE']);
  });

  it('keys that JavaScript knows', () => {
    const app = read(keys('environment: {__proto__: a, constructor: b}\nlabels: {toString: c}'));
    expect(Object.entries(app.services[0]!.environment)).toEqual([['__proto__', 'a'], ['constructor', 'b']]); // prettier-ignore
    expect(told(keys('constructor: 1'))).toEqual(['4:5 UNKNOWN_KEY']);
    expect(told('services: {__proto__: {image: x}}')).toEqual([]);
  });

  it('a link that leads out of the folder, and a file that cannot be read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'boxship-compose-'));
    try {
      symlinkSync('/etc/passwd', join(folder, 'link'));
      mkdirSync(join(folder, 'dir'));
      symlinkSync('..', join(folder, 'dir', 'up'));
      mkdirSync(join(folder, 'empty'));
      const at = (source: string) => told(keys(`volumes: ["./${source}:/x"]`), { folder: openAppFolder(folder) });
      expect(at('link')).toEqual(['4:15 FILE_UNUSABLE']);
      expect(at('dir')).toEqual(['4:15 FILE_UNUSABLE']);
      expect(at('empty')).toEqual(['4:15 FILE_UNUSABLE']);
      expect(told('', { path: join(folder, 'none.yaml') })).toEqual(['1:1 EMPTY_FILE']);
      expect(() => readComposeFile({ path: join(folder, 'none.yaml'), projectName: 'a' })).toThrow(/does not exist/);
      expect(() => readComposeFile({ path: folder, projectName: 'a' })).toThrow(/is a directory/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('a name that no project can have', () => {
    expect(() => read(keys('user: "1"'), { projectName: 'A/b' })).toThrow(/cannot be the name/);
  });
});

describe('an app', () => {
  it('never sees the environment of the build host', () => {
    process.env['BOXSHIP_TEST_LEAK'] = 'leak';
    try {
      expect(told(keys('user: "${BOXSHIP_TEST_LEAK}"'))).toEqual(['4:11 UNSET_VARIABLE']);
      expect(read(keys('user: "${BOXSHIP_TEST_LEAK:-none}"')).services[0]!.settings).toEqual({ user: 'none' });
    } finally {
      delete process.env['BOXSHIP_TEST_LEAK'];
    }
  });

  it('takes variables of the product file before those of .env, and another file in its place', () => {
    const folder = folderOf({ '.env': 'A=env\nB=$A-env\n', 'other.env': 'A=other\n' });
    const users = (rest: Partial<ComposeFileInput>) => read(keys('user: "$A-${B:-}-$COMPOSE_PROJECT_NAME"'), { folder, ...rest }).services[0]!.settings.user; // prettier-ignore
    expect(users({})).toBe('env-env-env-app');
    expect(users({ environment: { A: 'given' } })).toBe('given-given-env-app');
    expect(users({ envFile: 'other.env' })).toBe('other--app');
    expect(told(keys('user: "1"'), { folder, envFile: 'none.env' })).toEqual([': FILE_MISSING']);
  });

  it('tells mistakes in env files with their own lines', () => {
    const folder = folderOf({ 'app.env': 'A=1\nPATH\n  3=x\nB="open\n' });
    const found = problems(keys('env_file: app.env'), { folder });
    expect(found.map(({ where }) => `${where?.file}:${where?.line}:${where?.column}`)).toEqual(['app.env:2:1', 'app.env:3:3', 'app.env:4:3']); // prettier-ignore
  });

  it('has raw env files, where asked', () => {
    const folder = folderOf({ 'raw.env': `A='$B' # c\n` });
    const app = read(keys('env_file: [{path: raw.env, format: raw}]'), { folder });
    expect(app.services[0]!.environment).toEqual({ A: `'$B' # c` });
  });

  it('has durations in every unit that Go reads, both micro signs too', () => {
    const seconds = (text: string) => read(keys(`stop_grace_period: ${text}`)).services[0]!.settings.stopGracePeriod;
    const texts = ['2000000000ns', '2000000us', '2000000\u00b5s', '2000000\u03bcs', '2000ms', '2s'];
    expect(texts.map(seconds)).toEqual(texts.map(() => 2));
  });

  it('brings the files that it mounts, read-only, whatever their modes here', () => {
    const notes: Problem[] = [];
    const folder = folderOf({ 'conf/a': '1', 'conf/sub/b.sh': '2', other: '3' });
    const app = read(keys('volumes: ["./conf:/etc/app", "./conf/a:/a:ro"]'), { folder, onNote: (note) => notes.push(note) }); // prettier-ignore
    expect(app.files.map(({ path, mode }) => [path, mode])).toEqual([['files/conf/a', 0o644], ['files/conf/sub/b.sh', 0o755]]); // prettier-ignore
    expect(app.services[0]!.mounts).toEqual([
      { type: 'bind', source: '/run/boxship/store/apps/app/files/conf', target: '/etc/app', readOnly: true },
      { type: 'bind', source: '/run/boxship/store/apps/app/files/conf/a', target: '/a', readOnly: true },
    ]);
    expect(notes.map(({ code }) => code)).toEqual(['BIND_READ_ONLY']);
  });

  it('is the same with another umask', () => {
    const folder = mkdtempSync(join(tmpdir(), 'boxship-compose-'));
    try {
      writeFileSync(join(folder, 'a'), '1');
      const text = keys('volumes: ["./a:/a:ro"]');
      const first = read(text, { folder: openAppFolder(folder) });
      chmodSync(join(folder, 'a'), 0o600);
      expect(read(text, { folder: openAppFolder(folder) })).toEqual(first);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('keeps inactive services out, and what only they use', () => {
    const text = 'services:\n  a: {image: x}\n  b: {image: "y:${NO}", profiles: [p], volumes: ["vol:/v"], networks: [n]}\nnetworks: {n: {}}\nvolumes: {vol: {}}\n'; // prettier-ignore
    const app = read(text);
    expect([app.services.length, app.volumes, app.networks.map(({ name }) => name)]).toEqual([1, [], ['app_default']]);
    expect(told(text, { profiles: ['p'] })).toEqual(['3:14 UNSET_VARIABLE']);
    expect(told('services:\n  a: {image: x, depends_on: [b]}\n  b: {image: y, profiles: [p]}\n')).toEqual(['2:30 INACTIVE_SERVICE']); // prettier-ignore
  });

  it('has the restart policy of deploy, and that of the service over it', () => {
    const deploy = 'deploy: {restart_policy: {condition: on-failure, max_attempts: 4}}';
    expect(read(keys(deploy)).services[0]).toMatchObject({ restart: 'on-failure', restartMaxAttempts: 4 });
    expect(read(keys(`${deploy}\nrestart: always`)).services[0]).toMatchObject({ restart: 'always' });
    expect(read(keys('restart: "no"')).services[0]).toMatchObject({ restart: 'no' });
    expect(read(keys('restart: no')).services[0]).toMatchObject({ restart: 'no' });
  });

  it.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['acme/gateway:1.4', 'docker.io/acme/gateway:1.4'],
    ['localhost/x', 'localhost/x:latest'],
    ['registry.example.com:5000/a/b:1', 'registry.example.com:5000/a/b:1'],
    ['index.docker.io/x', 'docker.io/library/x:latest'],
    [`x@sha256:${'0'.repeat(64)}`, `docker.io/library/x@sha256:${'0'.repeat(64)}`],
    [`x:1@sha256:${'0'.repeat(64)}`, `docker.io/library/x:1@sha256:${'0'.repeat(64)}`],
  ])('names the image %s in full', (short, full) => {
    expect(read(`services: {a: {image: "${short}"}}`).services[0]!.image).toBe(full);
  });

  it('is the same, bit for bit, each time', () => {
    const text = keys('environment: {B: "1", A: "2"}\nlabels: {z: "", y: ""}');
    expect(read(text)).toEqual(read(text));
  });
});

describe('a secret', () => {
  const text = `${keys('secrets: [token, {source: key, target: /etc/key}, pin]')}secrets: {token: {file: ./token}, key: {external: true, name: k.pem}, pin: {environment: PIN}}\n`; // prettier-ignore
  const folder = folderOf({ token: 'hunter2' });

  it('is a file on the data partition, and is not read here', () => {
    const app = read(text, { folder: NOTHING });
    const place = (file: string) => ({ from: 'data', path: `/run/boxship/data/secrets/app/${file}` });
    expect(app.services[0]!.secrets).toEqual([
      { name: 'token', target: '/run/secrets/token', place: place('token') },
      { name: 'key', target: '/etc/key', place: place('k.pem') },
      { name: 'pin', target: '/run/secrets/pin', place: place('pin') },
    ]);
    expect(app.files).toEqual([]);
    expect(app.secrets?.map(({ name }) => name)).toEqual(['key', 'pin', 'token']);
  });

  it('is where the product file says: another file, a credential, the image', () => {
    const notes: Problem[] = [];
    const secrets = { token: { from: 'image' }, key: { from: 'credential', credential: 'acme.key' }, pin: { from: 'data', file: 'a/b' } } as const; // prettier-ignore
    const app = read(text, { folder, secrets, onNote: (note) => notes.push(note) });
    expect(app.services[0]!.mounts).toEqual([{ type: 'bind', source: '/run/boxship/store/apps/app/files/token', target: '/run/secrets/token', readOnly: true }]); // prettier-ignore
    expect(app.secrets).toEqual([
      { name: 'key', place: secrets.key },
      { name: 'pin', place: { from: 'data', path: '/run/boxship/data/secrets/app/a/b' } },
      { name: 'token', place: { from: 'image' } },
    ]);
    expect(notes.map(({ code }) => code)).toEqual(['SECRET_IN_IMAGE']);
  });

  it('cannot be baked when it is external, nor have a mode that only the device could give it', () => {
    expect(told(text, { folder, secrets: { key: { from: 'image' } } })).toContain('5:35 UNSUPPORTED_VALUE');
    const mode = `${keys('secrets: [{source: token, mode: 0400}]')}secrets: {token: {file: ./token}}\n`;
    expect(told(mode)).toEqual(['4:15 UNSUPPORTED_VALUE']);
    expect(told(mode, { folder, secrets: { token: { from: 'image' } } })).toEqual([]);
  });

  it('is not shown by the message of a line of an env file that is none', () => {
    const found = problems(keys('env_file: app.env'), { folder: folderOf({ 'app.env': 'PASSWORD hunter2\n' }) });
    expect(found.map(({ code }) => code)).toEqual(['BAD_ENV_LINE']);
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });
});
