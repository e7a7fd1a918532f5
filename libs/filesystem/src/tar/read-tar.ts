import { createTarParser, type TarOptions } from './tar-parser.ts';
import type { TarVisitor } from './tar-entry.ts';

/** Reads a whole tar stream once and tells `visitor` what is in it. Errors as `createTarParser`. */
export async function readTar(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  visitor: TarVisitor,
  options: TarOptions = {},
): Promise<void> {
  const parser = createTarParser(visitor, options);
  for await (const chunk of chunks) parser.push(chunk);
  parser.end();
}
