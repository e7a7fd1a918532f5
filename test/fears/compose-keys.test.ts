import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readComposeFile, refusedServiceKeys, serviceKeys } from '@boxship/compose-spec';
import { engines, type ComposeKeys, type Engine, type KeySupport } from '@boxship/engines';
import { UserError, type App, type DeviceFacts, type Tree } from '@boxship/model';
import { KEY_SAMPLES, sampleText, type KeySample } from '../../libs/compose-spec/src/fixtures/key-samples.ts';

/* docs/compose-keys.md promises what each engine makes of each key: the table is made of the engines' data, and the data is true. */

const DOCUMENT = fileURLToPath(new URL('../../docs/compose-keys.md', import.meta.url));
const MARK = '<!-- The table is made';

/** What starts an app, file by file, without its Compose file. */
type Start = (app: App) => Promise<Record<string, string>>;

const started: readonly (readonly [name: string, support: ComposeKeys, start: Start])[] = Object.entries<Engine>(
  engines,
).map(([name, engine]) => [name, engine.composeKeys, (app: App) => startOf(engine, app)] as const);

function words(support: KeySupport | undefined): string {
  if (support === undefined) return 'not written down';
  if (support === 'exact') return 'exact';
  const [[kind, how]] = Object.entries(support) as [[string, string]];
  return `**${kind === 'withoutEffect' ? 'no effect' : kind}**: ${how}`;
}

it('the table of the documentation is that of the code', async () => {
  const text = await readFile(DOCUMENT, 'utf8');
  const end = text.indexOf('\n', text.indexOf(MARK)) + 1;
  expect(text.indexOf(MARK)).toBeGreaterThan(0);
  const keys = [...serviceKeys, ...Object.keys(refusedServiceKeys)].sort();
  const rows = keys.map((key) => {
    const refusal = Object.hasOwn(refusedServiceKeys, key) ? refusedServiceKeys[key] : undefined;
    const cells = started.map(([, support]) => (refusal === undefined ? words(support[key]) : `**refused**: ${refusal}`)); // prettier-ignore
    return `| \`${key}\` | ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const table = [`| Key | ${started.map(([name]) => name).join(' | ')} |`, `|---|${'---|'.repeat(started.length)}`, ...rows]; // prettier-ignore
  const whole = await format(`${text.slice(0, end)}\n${table.join('\n')}\n`, { ...(await resolveConfig(DOCUMENT)), filepath: DOCUMENT }); // prettier-ignore
  await expect(whole).toMatchFileSnapshot(DOCUMENT);
});

it('every key of the specification is read or refused, and never both', () => {
  expect([...serviceKeys, ...Object.keys(refusedServiceKeys)].sort()).toEqual(Object.keys(KEY_SAMPLES).sort());
});

const FACTS: DeviceFacts = {
  osRelease: {}, init: 'systemd', systemdVersion: 257, unitDirectory: '/usr/lib/systemd/system', mergedUsr: true, selinux: false,
  apparmorParser: true, ostree: false, readOnlyRoot: false, programs: {},
  engines: Object.keys(engines).map((name) => ({ name, program: `/usr/bin/${name}`, composePlugin: false, unit: `${name}.service` })),
}; // prettier-ignore

let top = '';
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'boxship-keys-'));
});
afterAll(() => rm(top, { recursive: true, force: true }));

async function appOf(sample: KeySample, keys = sample.keys): Promise<App> {
  const folder = await mkdtemp(join(top, 'app-'));
  for (const [path, text] of Object.entries({ ...sample.files, 'compose.yaml': sampleText({ ...sample, keys }) })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return readComposeFile({ path: join(folder, 'compose.yaml'), projectName: 'p', profiles: ['on'] });
}

/** What the engine starts the app by, without the Compose file that lies beside it. */
async function startOf(engine: Engine, app: App): Promise<Record<string, string>> {
  const ids = new Map(app.services.map(({ image }) => [image, `sha256:${'0'.repeat(64)}` as const]));
  const tree: Tree = engine.start({ ...app, composeBytes: new Uint8Array() }, ids, FACTS, { epoch: 0, console: false });
  const files: Record<string, string> = {};
  for (const entry of tree.entries()) {
    if (entry.type !== 'file') continue;
    const chunks: Uint8Array[] = [];
    if (entry.content) for await (const chunk of entry.content.source.open()) chunks.push(Uint8Array.from(chunk));
    files[entry.path] = Buffer.concat(chunks).toString();
  }
  return files;
}

/** What samples have beside the key that they are about, and containerd's ctr does not: networks, health of another service, options of a volume. */
function asCtrHasIt(app: App, key: string): App {
  const services = app.services.map(({ healthcheck, ...service }) => ({
    ...service,
    ...(healthcheck && key === 'healthcheck' ? { healthcheck } : {}),
    ...(service.networkMode === undefined ? { networks: [], networkMode: 'none' } : {}),
  }));
  return { ...app, services, volumes: app.volumes.map((volume) => ({ ...volume, driverOptions: {} })) };
}

describe.each(started)('%s', (name, support, start) => {
  it('says something of every key that is read', () => {
    expect(Object.keys(support).sort()).toEqual([...serviceKeys]);
  });

  // an image is always there, and whether a profile is on is decided before an engine is asked
  const decided = ['image', 'profiles'];
  it.each(serviceKeys.filter((key) => !decided.includes(key)))('does not drop %s, or says so', async (key) => {
    const common = KEY_SAMPLES[key]!;
    const sample = { ...common, ...common.instead?.[name] };
    const claim = support[key]!;
    const adapt = (one: App) => (name === 'containerd' && key !== 'networks' ? asCtrHasIt(one, key) : one);
    const base = await appOf(sample, '');
    const without = await start(name === 'containerd' ? asCtrHasIt(base, key) : base);
    const app = adapt(await appOf(sample));
    if (typeof claim === 'object' && 'refused' in claim) {
      const error = await Promise.resolve().then(() => start(app)).then(() => undefined, (reason: unknown) => reason); // prettier-ignore
      expect(error).toBeInstanceOf(UserError);
      for (const { code, where } of (error as UserError).problems) {
        expect({ code, line: where?.line, column: where?.column }).toEqual({
          code: 'NOT_FOR_ENGINE',
          line: 4,
          column: 5,
        });
      }
    } else if (typeof claim === 'object' && 'withoutEffect' in claim) {
      expect(await start(app)).toEqual(without);
    } else expect(await start(app)).not.toEqual(without);
  });

  it('knows of no sample that is not for it', () => {
    const samples = Object.entries(KEY_SAMPLES).filter(([, { instead }]) => instead && Object.hasOwn(instead, name));
    for (const [key] of samples) expect(Object.hasOwn(support[key] as object, 'approximated'), key).toBe(true);
  });
});
