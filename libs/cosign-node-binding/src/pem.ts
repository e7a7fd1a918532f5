import { decodeBase64, encodeBase64 } from './base64.ts';

/** One block of a PEM file (RFC 7468). */
export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
}

/** A key file is a few kilobytes; more is not read. */
const MAX_LENGTH = 64 * 1024;

/**
 * Every block of a PEM text, in order; text around the blocks is skipped, and so are the headers of RFC 1421.
 * Undefined when there is none, when one is damaged, or when the text is longer than 64 KiB.
 */
export function parsePem(text: string): PemBlock[] | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let lines: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const edge = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/.exec(line);
    if (!edge) {
      if (label !== undefined && !line.includes(':')) lines.push(line.trim());
    } else if (edge[1] === 'BEGIN') {
      if (label !== undefined) return undefined;
      label = edge[2];
      lines = [];
    } else {
      const bytes = decodeBase64(lines.join(''));
      if (label === undefined || label !== edge[2] || !bytes) return undefined;
      blocks.push({ label, bytes });
      label = undefined;
    }
  }
  return label === undefined && blocks.length > 0 ? blocks : undefined;
}

/** A PEM block with lines of 64 characters and a newline at the end, as Go and OpenSSL write it. */
export function formatPem(label: string, bytes: Uint8Array): string {
  const lines = encodeBase64(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
