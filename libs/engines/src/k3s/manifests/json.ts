/** A value of a JSON document. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Two objects as one: objects within them are joined, everything else is that of the second. */
export function joinJson(a: Json, b: Json): Json {
  if (!isObject(a) || !isObject(b)) return b;
  const joined: { [key: string]: Json } = { ...a };
  for (const [key, value] of Object.entries(b)) joined[key] = key in joined ? joinJson(joined[key]!, value) : value;
  return joined;
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
