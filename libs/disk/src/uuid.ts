import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Namespace of every UUID that Boxship derives. Random once, fixed for ever: changing it changes every artifact. */
const BOXSHIP_NAMESPACE = '7c8e2a54-0d6b-4f7e-9a41-5b1f6f0a7e21';

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/**
 * The UUID that `name` has in `namespace`: equal arguments give equal UUIDs, everywhere and always.
 * Version 5 of RFC 9562 section 5.5 (SHA-1), as `uuidgen --sha1` and Python's uuid5 make it. Lower case.
 */
export function uuidFrom(namespace: string, name: string): string {
  if (!UUID.test(namespace)) throw new Error(`not a UUID in lower case: ${namespace}`);
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return dashed(hash.toString('hex', 0, 16));
}

/** What has a UUID: the file systems, what their directories are hashed with, and the partitions in a GPT. */
export type PartitionIdentity =
  | 'store' | 'store-hash-seed' | 'store-partition'
  | 'data' | 'data-hash-seed' | 'data-partition'; // prettier-ignore

/** UUIDs of our partitions on a machine of a product, the same in every version and variant: devices find them by these. */
export function partitionIdentities(product: string, machine: string): (role: PartitionIdentity) => string {
  return (role) => uuidFrom(BOXSHIP_NAMESPACE, `${product}/${machine}/${role}`);
}

/** A GUID as GPT stores it: the first three fields little-endian (UEFI 2.10, appendix A). Lower case. */
export function readGuid(bytes: Uint8Array, offset: number): string {
  const raw = Buffer.from(bytes.subarray(offset, offset + 16));
  swapFields(raw);
  return dashed(raw.toString('hex'));
}

/** The 16 bytes that `readGuid` reads. */
export function writeGuid(guid: string): Buffer {
  if (!UUID.test(guid)) throw new Error(`not a GUID in lower case: ${guid}`);
  const raw = Buffer.from(guid.replaceAll('-', ''), 'hex');
  swapFields(raw);
  return raw;
}

function swapFields(raw: Buffer): void {
  raw.subarray(0, 4).reverse();
  raw.subarray(4, 6).reverse();
  raw.subarray(6, 8).reverse();
}

function dashed(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
