// `npm run demo`: from a vendor's image and two apps to a signed image that boots with its apps already there. Everything
// is left in demo/ (or the folder that is named) for a look. After the sample inputs are made, dist/boxship.mjs alone is used, as a user would.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { buildSampleImages } from '../fixtures/images/build.mjs';
import { run } from '../lab/program.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const folder = resolve(process.argv[2] ?? join(root, 'demo'));
const program = join(root, 'dist/boxship.mjs');
const releases = 'deploy/acme-gateway-1.4.0';
/** Printed by the app, from inside its container, when it has looked at its own files. */
const LINE = 'boxship-demo: gateway 1\\.4 is up \\(\\d+ checks ok\\)';
/** Without KVM, on a busy machine. */
const BOOT_SECONDS = 900;

const table = [];

/** Runs a step and notes its time; `size` tells the bytes that it made or read. */
async function stage(name, work, size = () => undefined) {
  const began = Date.now();
  await work();
  table.push([name, ((Date.now() - began) / 1000).toFixed(1), size()?.toLocaleString('en') ?? '']);
}

/** Shows a command as a person would type it in demo/, and what it says. */
function boxship(...args) {
  console.log(`\n$ boxship ${args.map((arg) => (/^[\w./=-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ')}`);
  return new Promise((resolve, reject) => {
    const env = { ...process.env, BOXSHIP_CACHE: join(folder, 'cache'), COSIGN_PASSWORD: 'demo' };
    const child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      reject(
        new Error(`boxship ${args[0]} ended with ${signal ?? code}; look into ${relative(process.cwd(), folder)}/`),
      );
    });
  });
}

const bytesBelow = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0)
    : statSync(path).size;

function startFolder() {
  if (existsSync(folder) && !existsSync(join(folder, '.boxship-demo')))
    throw new Error(`${folder} is not ours: move it away`);
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(here, 'product'), folder, { recursive: true });
  writeFileSync(join(folder, '.boxship-demo'), '');
  for (const name of ['bsp', 'keys']) mkdirSync(join(folder, name));
}

async function demo() {
  startFolder();
  await stage(
    'build boxship.mjs',
    () => run(process.execPath, [join(root, 'tools/cli/build.mjs')]),
    () => bytesBelow(program),
  );
  const vendor = join(folder, 'bsp/vendor.img');
  console.log('A vendor base image from Debian packages (kept for the next time) …');
  await stage(
    'sample base image',
    async () => copyFileSync((await buildBaseImage()).image, vendor, constants.COPYFILE_FICLONE),
    () => bytesBelow(vendor),
  );
  const images = join(folder, 'images');
  await stage(
    'sample app images',
    async () => buildSampleImages({ folder: images, version: '1.4' }),
    () => bytesBelow(images),
  );

  await stage('keygen', () => boxship('keygen', '--development', '--output-key-prefix', 'keys/release'));
  await stage(
    'lock',
    () => boxship('lock'),
    () => bytesBelow(vendor) + bytesBelow(images),
  );
  await stage('plan', () => boxship('plan'));
  for (const variant of ['basic', 'pro']) {
    const release = `${releases}/qemux86-64-docker-${variant}`;
    await stage(
      `compose ${variant}`,
      () => boxship('compose', '--variant', variant),
      () => bytesBelow(join(folder, release)),
    );
    await stage(
      `verify ${variant}`,
      () => boxship('verify', release, '--key', 'keys/release.pub'),
      () => bytesBelow(join(folder, release)),
    );
  }
  const pro = `${releases}/qemux86-64-docker-pro`;
  await stage('boot until the app speaks', () =>
    boxship('boot', pro, '--until', LINE, '--timeout', String(BOOT_SECONDS)),
  );
}

try {
  await demo();
} catch (error) {
  console.error(`demo: ${error.message}`);
  process.exitCode = 1;
}
const widths = [0, 1, 2].map((column) =>
  Math.max(...[['stage', 'seconds', 'bytes'], ...table].map((row) => row[column].length)),
);
console.log('');
for (const [name, seconds, bytes] of [['stage', 'seconds', 'bytes'], ...table]) {
  console.log(`${name.padEnd(widths[0])}  ${seconds.padStart(widths[1])}  ${bytes.padStart(widths[2])}`.trimEnd());
}
if (process.exitCode !== 1) {
  console.log(
    `\nThe app ran inside its container, on a machine without a network. All of it is in ${relative(process.cwd(), folder) || '.'}/`,
  );
}
