import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { Gzip } from 'fflate';
import { createCrc64 } from './crc64.ts';

/** A segment longer than this is cut in two: Go's JSON decoder holds one line at a time. A multiple of 3 for base64. */
const MAX_SEGMENT = 768 * 1024;
const LINE_BUFFER = 256 * 1024;

/**
 * Writes `tar-split.json.gz` as vbatts/tar-split does (tar/asm/disassemble.go, tar/storage/packer.go), with which docker
 * and containers/storage put a layer's tar together again: JSON lines of raw segments (type 2) and files (type 1).
 * Compressed by fflate, so that the bytes are the same on every host.
 */
export interface TarSplitWriter {
  /** Bytes of the stream that are no file's data. */
  raw(bytes: Uint8Array): void;
  /** An entry begins; `data` and `endFile` follow. `name` as the tar has it; `size` 0 for all that has no data. */
  startFile(name: string, size: number): void;
  data(bytes: Uint8Array): void;
  /** Ends the entry that began last, if that was not done yet. */
  endFile(): void;
  /** Ends the segment, so that the next bytes begin a new one. */
  flushSegment(): void;
  /** Writes all out and closes the file. */
  finish(): TarSplitSummary;
  /** Closes the file as it is, after an error. */
  abandon(): void;
}

export interface TarSplitSummary {
  readonly size: number;
  readonly sha256: string;
}

export async function createTarSplitWriter(path: string): Promise<TarSplitWriter> {
  const crc = await createCrc64();
  const output = openSync(path, 'wx', 0o644);
  const hash: Hash = createHash('sha256');
  let size = 0;
  const gzip = new Gzip({ level: 1, mtime: 0 }, (chunk) => {
    hash.update(chunk);
    size += chunk.length;
    for (let done = 0; done < chunk.length;) done += writeSync(output, chunk, done);
  });
  let line = Buffer.allocUnsafe(LINE_BUFFER);
  let filled = 0;
  let segment = Buffer.allocUnsafe(4096);
  let segmentLength = 0;
  let position = 0;
  let file: { readonly name: string; readonly size: number } | undefined;

  function push(): void {
    // fflate keeps what it is given until it has compressed it
    gzip.push(line.subarray(0, filled));
    line = Buffer.allocUnsafe(LINE_BUFFER);
    filled = 0;
  }

  /** ASCII text of at most MAX_SEGMENT * 4 / 3 characters. */
  function write(text: string): void {
    for (let at = 0; at < text.length;) {
      const length = Math.min(text.length - at, LINE_BUFFER - filled);
      line.write(at === 0 && length === text.length ? text : text.slice(at, at + length), filled, 'latin1');
      filled += length;
      at += length;
      if (filled === LINE_BUFFER) push();
    }
  }

  function flushSegment(): void {
    if (segmentLength === 0) return;
    write(`{"type":2,"payload":"${segment.toString('base64', 0, segmentLength)}","position":${position}}\n`);
    position++;
    segmentLength = 0;
  }

  function raw(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const length = Math.min(bytes.length - at, MAX_SEGMENT - segmentLength);
      if (segmentLength + length > segment.length) {
        const grown = Buffer.allocUnsafe(Math.min(MAX_SEGMENT, 2 * (segmentLength + length)));
        segment.copy(grown, 0, 0, segmentLength);
        segment = grown;
      }
      segment.set(bytes.subarray(at, at + length), segmentLength);
      segmentLength += length;
      at += length;
      if (segmentLength === MAX_SEGMENT) flushSegment();
    }
  }

  function endFile(): void {
    if (!file) return;
    const { name, size: fileSize } = file;
    const sum = fileSize > 0 ? `"size":${fileSize},"payload":"${crc.base64()}"` : '"payload":null';
    file = undefined;
    write(`{"type":1,${nameFields(name)}${sum},"position":${position}}\n`);
    position++;
  }

  return {
    raw,
    startFile(name, fileSize) {
      endFile();
      flushSegment();
      file = { name, size: fileSize };
      if (fileSize > 0) crc.reset();
    },
    data: (bytes) => crc.update(bytes),
    endFile,
    flushSegment,
    finish() {
      endFile();
      flushSegment();
      gzip.push(line.subarray(0, filled), true);
      closeSync(output);
      return { size, sha256: hash.digest('hex') };
    },
    abandon: () => closeSync(output),
  };
}

const PLAIN = /^[\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\x5b\x5d-\x7e]*$/;

/** `"name":…,` or, when the bytes are not UTF-8, `"name_raw":<base64>,`; nothing for an empty name. */
function nameFields(name: string): string {
  if (name === '') return '';
  if (PLAIN.test(name)) return `"name":"${name}",`;
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) return `"name_raw":"${bytes.toString('base64')}",`;
  return `"name":"${Buffer.from(escapeAsGo(text), 'utf8').toString('latin1')}",`;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** encoding/json escapes HTML characters and the line separators of JavaScript as well. */
function escapeAsGo(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex
    /["\\<>&\u0000-\u001f\u2028\u2029]/g,
    (c) => SHORT_ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
