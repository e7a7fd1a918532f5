import { UserError } from '@boxship/model';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The object that a document of ours is. Errors: BAD_DOCUMENT. */
export function parseObject(bytes: Uint8Array, subject: string, kind: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new UserError('BAD_DOCUMENT', `${subject} is not JSON: it is damaged`);
  }
  if (isObject(value) && value['kind'] === kind) return value;
  throw new UserError('BAD_DOCUMENT', `${subject} is not a document of the kind "${kind}"`);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text of a document; '' for anything else, so that a strange document shows rather than stops. */
export function textIn(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === 'string' ? value : '';
}

export function listIn(object: JsonObject, key: string): readonly unknown[] {
  const value = object[key];
  return Array.isArray(value) ? value : [];
}

export function objectsIn(object: JsonObject, key: string): readonly JsonObject[] {
  return listIn(object, key).filter(isObject);
}
