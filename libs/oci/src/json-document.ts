import { isDigest, UserError, type Descriptor } from '@boxship/model';

/** A JSON object of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * What a document from outside is called in messages, and the error that all of its checks throw.
 * `subject` names it for people: `the manifest of docker.io/library/busybox:1.36`.
 */
export interface DocumentDoor {
  readonly subject: string;
  readonly code: string;
}

export function documentError(door: DocumentDoor, why: string, hint?: string): UserError {
  return new UserError(door.code, `${door.subject} cannot be used: ${why}`, hint);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that `bytes` spell, which must be UTF-8 JSON. */
export function parseJsonObject(bytes: Uint8Array, door: DocumentDoor): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw documentError(door, `it is not JSON (${bytes.length} bytes)`);
  }
  if (!isObject(value)) throw documentError(door, 'it is not a JSON object');
  return value;
}

/** A text field, or undefined when it is not there. */
export function optionalText(object: JsonObject, key: string, door: DocumentDoor): string | undefined {
  const value = object[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw documentError(door, `"${key}" is not a text`);
  return value;
}

/** A descriptor (image-spec descriptor.md "Properties") with a sha256 digest and a size that a number can hold. */
export function parseDescriptor(value: unknown, where: string, door: DocumentDoor): Descriptor {
  if (!isObject(value)) throw documentError(door, `${where} is not a descriptor`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string' || mediaType === '') throw documentError(door, `${where} has no media type`);
  if (typeof digest !== 'string') throw documentError(door, `${where} has no digest`);
  if (!isDigest(digest)) {
    const other = /^(sha384|sha512|blake3):/.exec(digest);
    throw documentError(
      door,
      `${where} has the digest "${digest.slice(0, 100)}"${other ? '' : ', which is none'}`,
      'Only sha256 digests are supported ("sha256:" and 64 lower-case hex digits).',
    );
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw documentError(door, `${where} has the size ${JSON.stringify(size)}, which is no count of bytes`);
  }
  return { mediaType, digest, size };
}

/** String-to-string map such as annotations and labels; what is not text is left out. */
export function textMap(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
