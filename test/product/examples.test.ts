import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Shell } from '@boxship/boot';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { buildExampleImages } from '../fixtures/example-images/build.mjs';
import { startOnTwoProcessors } from './boot-console.ts';
import { MACHINE, boxship, readSampleRelease, type SampleRelease } from './sample-product.ts';

// The example products headless and microservices, their apps as they are, on one device: every service becomes healthy.

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));
const NAMES = ['headless', 'microservices'];
const SERVICES = ['plant-api-1', 'plant-codec-1', 'plant-web-1', 'plant-worker-1', 'telemetry-broker-1', 'telemetry-sensor-1']; // prettier-ignore
const TOKEN = 'a-token-of-this-device';

interface ProductYaml {
  readonly apps: Readonly<Record<string, { readonly compose: string | readonly string[] }>>;
  readonly images: Readonly<Record<string, { readonly from: string }>>;
}

let folder = '';
let release: SampleRelease;

beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'examples-'));
  const { program, folder: other } = inject('product');
  await cp(EXAMPLES, folder, { recursive: true });
  await buildExampleImages({ folder: join(folder, 'images') });
  const products = await Promise.all(
    NAMES.map(async (name) => {
      const product = parse(await readFile(join(folder, name, 'boxship.yaml'), 'utf8')) as ProductYaml;
      const below = (path: string) => `./${join(name, path)}`;
      const apps = Object.entries(product.apps).map(([app, { compose, ...rest }]) => {
        return [app, { ...rest, compose: typeof compose === 'string' ? below(compose) : compose.map(below) }] as const;
      });
      return { apps: Object.fromEntries(apps), images: product.images };
    }),
  );
  const apps = Object.assign({}, ...products.map((one) => one.apps)) as ProductYaml['apps'];
  const product = {
    apiVersion: 'boxship/v1',
    product: 'examples',
    version: '1.0.0',
    machines: { [MACHINE]: { base: (await buildBaseImage()).image } },
    apps,
    images: Object.assign({}, ...products.map((one) => one.images)) as ProductYaml['images'],
    variants: { pro: { apps: Object.keys(apps) } },
    signing: { key: join(other, 'keys/release.key') },
  };
  await writeFile(join(folder, 'boxship.yaml'), stringify(product));
  await boxship({ program, folder }, 'lock');
  await boxship({ program, folder }, 'compose');
  release = await readSampleRelease(folder, 'pro');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What docker says of all containers, by name; the same again until `done`, or until ten minutes are over. */
async function healthOf(shell: Shell, done: (health: Readonly<Record<string, string>>) => boolean) {
  const inspect = "docker inspect --format '{{.Name}} {{.State.Health.Status}}' $(docker ps -q)";
  const until = Date.now() + 600_000;
  for (;;) {
    const { output } = await shell.run(inspect, 120_000);
    const lines = [...output.matchAll(/^\/(\S+) (\w+)$/gm)];
    const health = Object.fromEntries(lines.map(([, name, status]) => [name!, status!]).sort());
    if (done(health) || Date.now() > until) return health;
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}

it('every service of both becomes healthy, the sensor when the device has its secret', async () => {
  const { machine, shell } = await startOnTwoProcessors({ image: release.image, firmware: 'direct' });
  await using _stopped = machine;
  const all = Object.fromEntries(SERVICES.map((name) => [name, 'healthy']));
  const { ['telemetry-sensor-1']: _sensor, ...without } = all;
  const same = (wanted: object) => (found: object) => JSON.stringify(found) === JSON.stringify(wanted);
  expect(await healthOf(shell, same(without))).toEqual(without);
  console.log(`five services healthy after ${machine.seconds().toFixed(0)} s`);
  const complaint =
    "journalctl -b -o cat -u boxship-telemetry-sensor.service | grep -m 1 '/secrets/telemetry/cloud/token'";
  await shell.must(`until ${complaint}; do sleep 1; done`, 300_000);

  // as a factory does, for the user of the service
  await shell.must(`cd /run/boxship/data && install -d -m 0755 secrets secrets/telemetry secrets/telemetry/cloud && echo ${TOKEN} >/tmp/t && install -o 1000 -m 0400 /tmp/t secrets/telemetry/cloud/token`); // prettier-ignore
  expect(await healthOf(shell, same(all))).toEqual(all);
  console.log(`every service healthy after ${machine.seconds().toFixed(0)} s`);

  // headless: the broker has what the sensor, without root and without a capability, has published of the device's serial ports
  const subscribe = "docker exec telemetry-broker-1 mosquitto_sub -h 127.0.0.1 -t 'telemetry/#' -C 1 -W 60";
  expect(await shell.must(subscribe, 120_000)).toMatch(/^up [\d.]+ s, devices: \/dev\/ttyS0/);
  expect(await shell.must('docker exec telemetry-sensor-1 id -u')).toBe('1000');
  expect(await shell.must('docker exec telemetry-sensor-1 cat /run/secrets/cloud-token')).toBe(TOKEN);

  // microservices: a page on the device's port 80, of a state that the worker has made with the codec
  const get = "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET /cgi-bin/page HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
  expect(await shell.must(`bash -c "${get}"`, 120_000)).toMatch(
    /<h1>line-7: [1-9]\d* done, last: line-7-\d+ [0-9a-f]{64}<\/h1>/,
  );
  const [line] = (await shell.must('docker exec plant-api-1 head -n 1 /data/results')).split('\n');
  const [job, digest] = line!.split(' ');
  expect(await shell.must(`echo ${job} | sha256sum | cut -c 1-64`)).toBe(digest);
  // the third party's box sees the worker's network alone
  const networks = "docker inspect --format '{{range $name, $one := .NetworkSettings.Networks}}{{$name}}{{end}}' plant-codec-1"; // prettier-ignore
  expect(await shell.must(networks)).toBe('plant_back');
  expect((await shell.run("docker exec plant-codec-1 sh -c 'nc -w 3 web 80 </dev/null'", 120_000)).code).not.toBe(0);
  expect((await shell.run('docker exec plant-codec-1 touch /opt/x', 120_000)).output).toContain('Read-only file system'); // prettier-ignore

  // nobody was started before those that it waits for
  const started = await shell.must("docker inspect --format '{{.State.StartedAt}} {{.Name}}' $(docker ps -q) | sort", 120_000); // prettier-ignore
  const order = started.split('\n').map((text) => text.replace(/^\S+ \//, ''));
  for (const [first, second] of [['api', 'web'], ['api', 'worker'], ['codec', 'worker']] as const) {
    expect(order.indexOf(`plant-${first}-1`), started).toBeLessThan(order.indexOf(`plant-${second}-1`));
  } // prettier-ignore
  expect(order.indexOf('telemetry-broker-1')).toBeLessThan(order.indexOf('telemetry-sensor-1'));
  expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
  console.log(`the examples, boot and its checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`);
});
