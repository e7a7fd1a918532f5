import { readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runProgram } from '@boxship/host';
import { IMAGE, GOOD_LAYERS, builtProgram, environmentOf, fearProduct, writeImage, type FearProduct } from './fear-product.ts'; // prettier-ignore

/* Mistakes that are made of two places: what a user reads names both, as the built program prints it. */

let program = '';
let product: FearProduct;
let yaml = '';
beforeAll(async () => {
  program = await builtProgram();
  product = await fearProduct();
  yaml = await readFile(product.file, 'utf8');
  writeImage(product.path('images/amd64'), GOOD_LAYERS, ['amd64']);
});
afterAll(() => product[Symbol.asyncDispose]());

/** A word that means nothing has no other place. */
const ONE_PLACE = ['a device class that is none'];

const golden = fileURLToPath(new URL('../golden/both-places.txt', import.meta.url));
const CODES = Array.from({ length: 256 }, (_, code) => code);

/** What `lock`, and if that is content `plan`, prints as errors, with this product file and these files beside it. */
async function told(files: Readonly<Record<string, string>>, change = (text: string) => text): Promise<string> {
  await Promise.all(['app', 'other'].map((folder) => rm(product.path(folder), { recursive: true, force: true })));
  await product.write('boxship.yaml', change(yaml));
  for (const [name, text] of Object.entries(files)) await product.write(name, text);
  for (const command of ['lock', 'plan']) {
    const settings = { cwd: product.folder, env: environmentOf(product), accept: CODES };
    const { code, stderr } = await runProgram(process.execPath, [program, command], settings);
    if (code === 0) continue;
    expect(code).toBe(1);
    return stderr.slice(stderr.search(/^error:/m));
  }
  return expect.fail('no error');
}

const image = `image: ${IMAGE}`;
const service = (keys: string) => `services:\n  app:\n    ${image}\n${keys.replace(/^/gm, '    ')}\n`;
const TWO_APPS = (text: string) =>
  text.replace('apps:\n', 'apps:\n  other: { compose: ./other/compose.yaml }\n').replace('[app]', '[app, other]');

const levels = Array.from({ length: 9 }, (_, i) => `x-${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`);

type Case = readonly [string, Readonly<Record<string, string>>, ((text: string) => string)?];

const CASES: readonly Case[] = [
  ['anchors that explode', { 'app/compose.yaml': `x-0: &a0 [lol, lol]\n${levels.join('\n')}\n${service('')}` }],
  ['an anchor that contains itself', { 'app/compose.yaml': `services:\n  app: &a\n    ${image}\n    labels: *a\n` }],
  [
    'extends in a circle through two files',
    {
      'app/compose.yaml': `services:\n  app:\n    ${image}\n    extends: { service: b }\n  b:\n    extends: { file: common/o.yaml, service: c }\n`,
      'app/common/o.yaml': 'services:\n  c:\n    extends: { file: ../compose.yaml, service: app }\n',
    },
  ],
  [
    'include in a circle',
    {
      'app/compose.yaml': `include: [o.yaml]\n${service('')}`,
      'app/o.yaml': 'include:\n  - p.yaml\n',
      'app/p.yaml': 'include:\n  - path: o.yaml\n',
    },
  ],
  ['a volume, when there are none', { 'app/compose.yaml': service("volumes: ['data:/data']") }],
  [
    'volumes that are not among those that there are',
    { 'app/compose.yaml': `${service("volumes:\n  - 'dta:/data'\n  - 'logs:/logs'")}volumes:\n  data:\n` },
  ],
  ['a service twice in one file', { 'app/compose.yaml': `${service('')}  app:\n    ${image}\n` }],
  [
    'an app twice in the product file',
    { 'app/compose.yaml': service('') },
    (text) => text.replace('images:\n', '  app: { compose: ./app/other.yaml }\nimages:\n'),
  ],
  [
    'a service of two files that are included',
    {
      'app/compose.yaml': 'include: [a.yaml, b.yaml]\n',
      'app/a.yaml': `services:\n  app: { ${image} }\n`,
      'app/b.yaml': `services:\n  app: { ${image}, user: '1' }\n`,
    },
  ],
  [
    'a service whose key has two forms in the two files that are merged',
    {
      'app/compose.yaml': service('cap_add: [SYS_NICE]'),
      'app/over.yaml': 'services:\n  app:\n    cap_add: { A: b }\n',
    },
    (text) => text.replace('./app/compose.yaml', '[./app/compose.yaml, ./app/over.yaml]'),
  ],
  ['a device class that is none', { 'app/compose.yaml': service('x-boxship: { devices: [gpios, lpt] }') }],
  [
    'a device class of a machine of which nothing is known',
    { 'app/compose.yaml': service('x-boxship: { devices: [gpio] }') },
  ],
  [
    'a device class that the machine does not have',
    { 'app/compose.yaml': service('x-boxship:\n  devices:\n    - serial\n    - gpio') },
    (text) => text.replace('tiny: {', 'tiny: { recipe: qemux86-64,'),
  ],
  [
    'a CAN bus in a network of its own',
    { 'app/compose.yaml': service('network_mode: bridge\nx-boxship: { devices: [can] }') },
  ],
  [
    'an image of another architecture than the machine',
    { 'app/compose.yaml': service('') },
    (text) => text.replace('linux/amd64', 'linux/arm64'),
  ],
  ['a platform of a service that is not that of the machine', { 'app/compose.yaml': service('platform: linux/arm64') }],
  [
    'one port and one container name of two services',
    {
      'app/compose.yaml': `${service("ports: ['80:1']")}  b:\n    ${image}\n    container_name: app-app-1\n    ports: ['79-80:79-80']\n`,
    },
  ],
  [
    'one port and one container name of two apps',
    {
      'app/compose.yaml': service("container_name: web\nports: ['8080:80']"),
      'other/compose.yaml': service("ports: ['8000-8100:8000-8100']\ncontainer_name: web"),
    },
    TWO_APPS,
  ],
  [
    'one port and one container name of a Compose file and a Quadlet file',
    {
      'app/compose.yaml': service("container_name: web\nports: ['8080:80']"),
      'other/web.container': `[Container]\nImage=${IMAGE}\nContainerName=web\nPublishPort=8080:80\n[Install]\nWantedBy=default.target\n`,
    },
    (text) => `${TWO_APPS(text).replace('compose: ./other/compose.yaml', 'quadlet: ./other')}engine: podman\n`,
  ],
  [
    'one Quadlet file of two apps',
    Object.fromEntries(
      ['app', 'other'].map((name) => [
        `${name}/web.container`,
        `[Container]\nImage=${IMAGE}\nContainerName=${name}\n[Install]\nWantedBy=default.target\n`,
      ]),
    ),
    (text) => `${TWO_APPS(text).replace(/compose: (?=\.\/)(\.\/\w+)\/compose.yaml/g, 'quadlet: $1')}engine: podman\n`,
  ],
  [
    'services that wait for each other',
    { 'app/compose.yaml': `${service('depends_on: [b]')}  b:\n    ${image}\n    depends_on: [app]\n` },
  ],
  ['two mounts at one place', { 'app/compose.yaml': service("volumes: ['/a:/data', '/b:/data/']") }],
];

it('a user reads both places, and what to do', async () => {
  let text = '';
  for (const [what, files, change] of CASES) {
    const errors = await told(files, change);
    text += `# ${what}\n${errors}\n`;
    for (const error of errors.split(/^(?=error: )/m)) {
      const places = error.match(/^(error: | {2})[\w./-]+:\d+:\d+: /gm) ?? [];
      expect(places.length, error).toBeGreaterThanOrEqual(ONE_PLACE.includes(what) ? 1 : 2);
      expect(error).toMatch(/^ {2}hint: /m);
      expect(error).not.toContain(product.folder);
    }
  }
  await expect(text).toMatchFileSnapshot(golden);
});

it('a document for programs has them too', async () => {
  await told(CASES.find(([what]) => what.startsWith('a platform'))![1]);
  const settings = { cwd: product.folder, env: environmentOf(product), accept: CODES };
  const { stdout } = await runProgram(process.execPath, [program, 'lock', '--json'], settings);
  const { error } = JSON.parse(stdout.toString()) as { error: { problems: object[] } };
  expect(error.problems).toMatchObject([
    {
      where: { line: 4, column: 5 },
      also: [{ what: 'the machine "tiny" runs linux/amd64', where: { line: 5, column: 31 } }],
    },
  ]);
});
