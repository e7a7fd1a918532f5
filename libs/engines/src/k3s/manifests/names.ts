import { createHash } from 'node:crypto';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Whether a text can be the name of a Service or a namespace (RFC 1123 label). */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && LABEL.test(text);
}

/** A name for an object of ours: the text itself, or as much of it as can stand there and a part of its digest. */
export function objectName(text: string): string {
  if (isDnsLabel(text)) return text;
  const readable = text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 50).replace(/-$/, '');
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return readable === '' ? `x${digest}` : `${readable}-${digest}`;
} // prettier-ignore
