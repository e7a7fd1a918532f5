// The grammar of bitbake for tree-sitter (npm tree-sitter-bitbake, C sources), compiled once into the test cache.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './program.mjs';
import { cached, contentKey } from './test-cache.mjs';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'bitbake-parser.c');
const PACKAGE = 'tree-sitter-bitbake@1.1.0';
const INTEGRITY = 'sha512-SUbAb02/ASVkhCKm6j3vEZoynmmN+9nQG7UMorKAjtHb4et180nbYpYP8ES+iKkJZubbOr8tOz9J0XV1SRP7tA==';

/** Why bitbake files cannot be parsed here, or undefined. On CI (CI=true) nothing is skipped: there it throws. */
export function whyNoBitbakeParser() {
  const header = ['/usr/include/tree_sitter/api.h', '/usr/local/include/tree_sitter/api.h'].some(existsSync);
  const why = header ? undefined : 'there is no libtree-sitter-dev';
  if (why && process.env.CI === 'true') throw new Error(`${why}, and CI=true allows no skipped tests`);
  return why;
}

async function parserProgram() {
  return await cached('tools', `bitbake-parser-${contentKey([SOURCE], { PACKAGE })}`, async (folder) => {
    mkdirSync(folder);
    // `npm install` would compile its binding for Node, which asks the network for Node's headers: we take the C sources.
    await run('npm', ['pack', '--silent', '--pack-destination', folder, PACKAGE]);
    const archive = join(
      folder,
      readdirSync(folder).find((name) => name.endsWith('.tgz')),
    );
    const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (integrity !== INTEGRITY) throw new Error(`${PACKAGE} has the digest ${integrity}, not ${INTEGRITY}`);
    await run('tar', ['-xzf', archive, '-C', folder]);
    const grammar = join(folder, 'package/src');
    await run('cc', ['-O1', '-w', '-I', grammar, SOURCE, join(grammar, 'parser.c'), join(grammar, 'scanner.c'), '-ltree-sitter', '-o', join(folder, 'parse')]); // prettier-ignore
  });
}

/** Nodes of each file, by its path: `{ depth, isError, type, text }`, in the order of the text. */
export async function parseBitbake(paths) {
  const program = join(await parserProgram(), 'parse');
  const output = (await run(program, paths)).toString();
  const files = new Map();
  let nodes;
  let bytes;
  for (const line of output.split('\n')) {
    if (line.startsWith('# ')) {
      bytes = readFileSync(line.slice(2));
      files.set(line.slice(2), (nodes = []));
      continue;
    }
    const match = /^(\d+) ([E-]) (.*) (\d+) (\d+)$/.exec(line);
    if (!match) continue;
    const [, depth, mark, type, start, end] = match;
    nodes.push({
      depth: Number(depth),
      isError: mark === 'E' || type === 'ERROR',
      type,
      text: bytes.subarray(Number(start), Number(end)).toString(),
    });
  }
  return files;
}

/** The same for texts: `{ name: text }` in, nodes by name out. */
export async function parseBitbakeTexts(texts) {
  const folder = mkdtempSync(join(tmpdir(), 'boxship-bitbake-'));
  try {
    const names = Object.keys(texts);
    names.forEach((name, index) => writeFileSync(join(folder, `${index}.bb`), texts[name]));
    const parsed = await parseBitbake(names.map((_name, index) => join(folder, `${index}.bb`)));
    return new Map(names.map((name, index) => [name, parsed.get(join(folder, `${index}.bb`))]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
