import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App, PortMapping } from '@boxship/model';
import { runProgram } from '@boxship/host';
import { readComposeFile } from './index.ts';

/* What we read from a Compose file, against what Docker Compose reads from it (`docker compose config`, no daemon). */

const FIXTURES = new URL('./fixtures/', import.meta.url).pathname;

async function findCompose(): Promise<readonly string[] | undefined> {
  const cache = process.env['BOXSHIP_TEST_CACHE'] ?? join(process.env['HOME'] ?? homedir(), '.cache', 'boxship-test');
  const plugin = 'usr/libexec/docker/cli-plugins/docker-compose';
  for (const path of [join(cache, 'tools/docker-compose-trixie', plugin), `/${plugin}`]) {
    if (await access(path).then(() => true, () => false)) return [path]; // prettier-ignore
  }
  const ownPlugin = await runProgram('docker', ['compose', 'version']).catch(() => undefined);
  if (ownPlugin) return ['docker', 'compose'];
  if (process.env['CI'] === 'true') throw new Error('docker compose is missing');
  return undefined;
}
const compose = await findCompose();

interface ConfigService {
  command: string[] | null;
  entrypoint: string[] | null;
  environment?: Record<string, string>;
  ports?: { host_ip?: string; published?: string; target: number; protocol: string }[];
  volumes?: { type: string; source?: string; target: string; read_only?: boolean }[];
  networks?: Record<string, { aliases?: string[] } | null>;
  depends_on?: Record<string, { condition: string; required: boolean }>;
  labels?: Record<string, string>;
  healthcheck?: { test?: string[]; interval?: string; timeout?: string; start_period?: string; retries?: number };
  restart?: string;
  [key: string]: unknown;
}

interface Config {
  services: Record<string, ConfigService>;
  networks?: Record<string, { name: string }>;
  volumes?: Record<string, { name: string }>;
}

async function config(file: string, folder: string, env: Record<string, string>, project: string): Promise<Config> {
  const [program, ...args] = compose!;
  const result = await runProgram(
    program!,
    [...args, '--project-name', project, '--project-directory', folder, '--file', file, 'config', '--format', 'json'],
    { env },
  );
  return JSON.parse(result.stdout.toString()) as Config;
}

/** Compose writes a file that can be interpolated again. */
function unescape(value: Config): Config {
  return JSON.parse(JSON.stringify(value).replaceAll('$$', '$')) as Config;
}

/** Milliseconds of a Go duration. */
function milliseconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const units: Record<string, number> = { h: 3.6e6, m: 6e4, s: 1e3, ms: 1 };
  return [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit!]!,
    0,
  );
}

function expand(port: PortMapping): string[] {
  const numbers = (range: string) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, index) => first + index);
  };
  const published = port.published === undefined ? [] : numbers(port.published);
  return numbers(port.target).map((target, index) => `${port.hostIp ?? ''} ${published[index] ?? ''} ${target}/${port.protocol}`); // prettier-ignore
}

/** What both sides say, in one form. */
function fromApp(app: App) {
  return app.services.map((service) => ({
    name: service.name,
    command: service.command ?? null,
    entrypoint: service.entrypoint ?? null,
    environment: service.environment,
    ports: service.ports.flatMap(expand),
    mounts: service.mounts
      .filter((mount) => !/\/(?:configs|secrets|conf\/site.conf|conf\/token)/.test('source' in mount ? mount.source : ''))
      .map((mount) => [mount.type, 'source' in mount ? mount.source : '', mount.target, 'readOnly' in mount && mount.readOnly].join(' ')), // prettier-ignore
    networks: Object.fromEntries([...service.networks].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, aliases }) => [name, aliases])), // prettier-ignore
    dependsOn: service.dependsOn.map((item) => `${item.service} ${item.condition} ${item.required}`),
    labels: service.labels,
    healthcheck: service.healthcheck && !service.healthcheck.disable ? [service.healthcheck.test, milliseconds(service.healthcheck.interval), milliseconds(service.healthcheck.timeout), milliseconds(service.healthcheck.startPeriod), service.healthcheck.retries] : undefined, // prettier-ignore
  }));
}

function fromConfig(project: Config, folder: string, deviceFolder: string): ReturnType<typeof fromApp> {
  const source = (mount: { type: string; source?: string }) => {
    if (mount.type === 'volume') return mount.source ? project.volumes![mount.source]!.name : '';
    return (mount.source ?? '').replace(folder.replace(/\/$/, ''), `${deviceFolder}/files`);
  };
  return Object.entries(project.services)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, service]) => ({
      name,
      command: service.command,
      entrypoint: service.entrypoint,
      environment: service.environment ?? {},
      ports: (service.ports ?? []).map((port) => `${port.host_ip ?? ''} ${port.published ?? ''} ${port.target}/${port.protocol}`), // prettier-ignore
      mounts: (service.volumes ?? []).map((mount) => [mount.type, source(mount), mount.target, mount.read_only ?? false].join(' ')), // prettier-ignore
      networks: Object.fromEntries(
        Object.entries(service.networks ?? {})
          .map(([key, network]) => [project.networks![key]!.name, network?.aliases ?? []] as const)
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
      dependsOn: Object.entries(service.depends_on ?? {}).map(([other, item]) => `${other} ${item.condition} ${item.required}`).sort(), // prettier-ignore
      labels: service.labels ?? {},
      healthcheck: service.healthcheck?.test ? [service.healthcheck.test, milliseconds(service.healthcheck.interval), milliseconds(service.healthcheck.timeout), milliseconds(service.healthcheck.start_period), service.healthcheck.retries] : undefined, // prettier-ignore
    }));
}

const SAMPLES = [
  { name: 'gateway', file: 'gateway/compose.yaml', env: { NICK: 'nick' } },
  { name: 'media', file: 'media/compose.yml', env: { TAG: '2', TITLE: 'a $HOME "b"' } },
];

describe.skipIf(!compose)('docker compose config', () => {
  let scratch = '';
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'boxship-compose-'));
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it.each(SAMPLES)('reads $name as we do', async ({ name, file, env }) => {
    const folder = join(FIXTURES, name);
    const app = readComposeFile({ path: join(FIXTURES, file), projectName: name, environment: env });
    const theirs = fromConfig(unescape(await config(join(FIXTURES, file), folder, env, name)), folder, `/run/boxship/store/apps/${name}`); // prettier-ignore
    const used = new Set(app.services.flatMap((service) => service.dependsOn.map((dependency) => dependency.service)));
    expect(used.size + app.services.length).toBeGreaterThan(1);
    expect(fromApp(app)).toEqual(theirs);
  });

  it.each(SAMPLES)('reads our file for the device as the original: $name', async ({ name, file, env }) => {
    const folder = join(FIXTURES, name);
    const app = readComposeFile({ path: join(FIXTURES, file), projectName: name, environment: env });
    const own = join(scratch, 'compose.yaml');
    await writeFile(own, app.composeBytes);
    const theirs = await config(join(FIXTURES, file), folder, env, name);
    const ours = await config(own, scratch, {}, name); // no variable, no .env: nothing of it is needed on the device
    const device = `/run/boxship/store/apps/${name}`;
    const tidy = (value: Config) =>
      JSON.parse(
        JSON.stringify(value)
          .replaceAll(`${folder}/conf/token`, '/run/boxship/data/secrets/gateway/token') // secrets are on the device
          .replaceAll(`${folder}/`, `${device}/files/`)
          .replaceAll(`"content":"welcome to 1.4"`, `"file":"${device}/configs/banner"`),
        (key, item: unknown) => (key === 'pull_policy' || key.startsWith('x-') ? undefined : item),
      ) as unknown;
    expect(tidy(ours)).toEqual(tidy(theirs));
  });

  it('splits commands, interpolates and reads env files as we do', async () => {
    const commands = [
      `a b  c`, ` a\tb `, `'a b' c`, `"a b"c`, `a\\ b`, `"a\\"b"`, `'a\\b'`, `"a\\nb" c\\nd`, `'' ""`, `a''b`, `"it's"`,
      `'say "x"'`, `--k=v`, `a=b`, `#c d`, `a #b`, `*.txt [x] {y} ~ !`, `é "ü 💡"`, `"(a)"`, `%d %%`, `a,b:c@d`,
    ]; // prettier-ignore
    const forms = [
      '$A', '${A}', '${A}b$A-$A', '$$A', '$$$A', '$${A}', '${EMPTY:-d}', '${EMPTY-d}', '${NO:-d}', '${NO-d}', '${A:-d}',
      '${A:+r}', '${A+r}', '${NO:+r}', '${NO+r}', '${EMPTY:+r}', '${EMPTY+r}', '${NO:-${A}}', '${NO:-a${NO2:-b$A}c}d',
      '${A:?e}', '${NO:-}', '${NO:-a:b-c?d}', '${NO:-$$x}', '${A}${A}', '${NO:+${NO3}}', 'x${NO-"q"}y', "${NO:-it's}",
      '${A:-${UNSET}}', '}$A}', '${NO:-{}}',
    ]; // prettier-ignore
    const envFile = [
      'A1=plain', 'A2 = spaced out  ', "A3='single $A \\n'", 'A4="double $A \\n \\t \\" \\\\ end"', 'A5=${A}-x', 'A6=a#b',
      'A7=a #b', 'A8="a #b" # c', 'export A9=e', '  A10=indented', 'A11=', 'A12=""', 'A13="two\nlines"', "A14='two\nlines'",
      'A15=a=b=c', 'A16=$A1 ${A2}', 'A17="\\$A"', 'A18=\\$A1', 'A19: yaml', 'A20=it\'s', 'A.21=dot', 'A22="x" ', '#A23=no',
      'A24=é', 'A25=${NO:-d}', 'A26=\ttab', 'A27=$$A', 'A28=a\\nb', 'A29="$${A}"',
    ].join('\n'); // prettier-ignore
    const services = Object.fromEntries([
      ...commands.map((command, index) => [`c${index}`, { image: 'x', command: command.replaceAll('$', '$$$$') }]),
      ['env', { image: 'x', environment: Object.fromEntries(forms.map((form, index) => [`F${index}`, form])), env_file: 'e.env' }], // prettier-ignore
    ]) as unknown;
    await writeFile(join(scratch, 'e.env'), envFile);
    const file = join(scratch, 'forms.json'); // JSON is YAML
    await writeFile(file, JSON.stringify({ services }));
    const env = { A: 'one', EMPTY: '' };
    const app = readComposeFile({ path: file, projectName: 'forms', environment: env });
    expect(fromApp(app)).toEqual(fromConfig(unescape(await config(file, scratch, env, 'forms')), scratch, ''));
  });

  it('reads our file for the device as ours: profiles', async () => {
    const app = readComposeFile({ path: join(FIXTURES, 'profiles/compose.yaml'), projectName: 'p', profiles: ['all'] });
    const own = join(scratch, 'compose.yaml');
    await writeFile(own, app.composeBytes);
    expect(fromConfig(unescape(await config(own, scratch, {}, 'p')), scratch, '')).toEqual(fromApp(app));
  });
});
