/**
 * What an engine makes of a key of a Compose service: all that it means; nearly so, and how; nothing, because a device has no
 * use for it; or an error. The table of docs/compose-keys.md is made of this, and a test holds it against what the engine does.
 */
export type KeySupport =
  'exact' | { readonly approximated: string } | { readonly withoutEffect: string } | { readonly refused: string };

/** By the name of the key; every key that the reader of Compose files takes. */
export type ComposeKeys = Readonly<Record<string, KeySupport>>;
