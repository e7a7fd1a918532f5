/** Name and tag of a normalised reference, `host/path:tag`, `host/path@digest` or both. */
export function splitReference(reference: string): { repository: string; tag?: string } {
  const name = reference.split('@')[0]!;
  const colon = name.lastIndexOf(':');
  if (colon < name.lastIndexOf('/') || colon < 0) return { repository: name };
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}
