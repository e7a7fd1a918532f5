/** A bucket: keys in the order of their bytes, each with a value or a bucket of its own. */
export interface Bucket {
  readonly entries: readonly BucketEntry[];
  /** What `NextSequence` of this bucket gave last. */
  readonly sequence: number;
}

export interface BucketEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | Bucket;
}

/** bbolt errors.go: `MaxKeySize`, and `MaxValueSize` (2 GiB less two bytes). */
const MAX_KEY = 32768;
const MAX_VALUE = 2 ** 31 - 2;

/** A bucket of `entries`, in any order; text is UTF-8. A key that is empty, too long or there twice is a defect of the caller. */
export function bucket(
  entries: Iterable<readonly [key: string | Uint8Array, value: string | Uint8Array | Bucket]>,
  sequence = 0,
): Bucket {
  const list = Array.from(entries, ([key, value]) => ({ key: bytesOf(key), value: isBucket(value) ? value : bytesOf(value) })); // prettier-ignore
  list.sort((a, b) => Buffer.compare(a.key, b.key));
  list.forEach(({ key, value }, at) => {
    const name = Buffer.from(key).toString();
    if (key.length === 0 || key.length > MAX_KEY) throw new Error(`bbolt: a key of ${key.length} bytes`);
    if (at > 0 && Buffer.compare(list[at - 1]!.key, key) === 0) throw new Error(`bbolt: the key "${name}" twice`);
    if (!isBucket(value) && value.length > MAX_VALUE) throw new Error(`bbolt: "${name}" has ${value.length} bytes`);
  });
  return { entries: list, sequence };
}

export function isBucket(value: string | Uint8Array | Bucket): value is Bucket {
  return typeof value === 'object' && 'entries' in value && !(value instanceof Uint8Array);
}

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}
