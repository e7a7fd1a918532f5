import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '@boxship/host';

/** Every exit code is a result for a test. */
const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BuiltProgram extends AsyncDisposable {
  /** The one file, in a folder far from any node_modules. */
  readonly file: string;
  /** An empty folder, the working folder of `run`. */
  readonly folder: string;
  /** Environment of `run`: an own HOME, a cache of its own. */
  readonly env: Readonly<Record<string, string>>;
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Run>;
  /** Writes a file below `folder` and returns its path. */
  write(name: string, text: string | Uint8Array): Promise<string>;
}

/** Builds boxship.mjs as a user gets it, into a folder of its own. */
export async function buildProgram(): Promise<BuiltProgram> {
  const root = await mkdtemp(join(tmpdir(), 'boxship-cli-'));
  const folder = join(root, 'work');
  await mkdir(folder);
  const script = fileURLToPath(new URL('../../build.mjs', import.meta.url));
  await runProgram(process.execPath, [script, join(root, 'bin')]);
  const file = join(root, 'bin/boxship.mjs');
  const env = { HOME: root, BOXSHIP_CACHE: join(root, 'cache') };
  return {
    file,
    folder,
    env,
    async run(args, more = {}) {
      const result = await runProgram(process.execPath, [file, ...args], {
        cwd: folder,
        env: { ...env, ...more },
        accept: ANY_CODE,
        timeout: 60_000,
      });
      return { code: result.code, stdout: result.stdout.toString(), stderr: result.stderr };
    },
    async write(name, text) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      return path;
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** A product file that is right; its inputs need not exist. */
export const PRODUCT = `apiVersion: boxship/v1
product: acme-gateway
version: 1.4.0
machines:
  qemux86-64: { base: ./vendor.img }
apps:
  gateway: { compose: ./compose.yaml }
images:
  registry.example.com/acme/gateway:1.4: { from: oci:./images/gateway }
variants:
  basic: { apps: [gateway] }
signing: { key: ./keys/release.key }
`;

export const COMPOSE_FILE = `services:
  gateway:
    image: registry.example.com/acme/gateway:1.4
`;
