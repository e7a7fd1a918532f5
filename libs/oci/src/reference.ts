import { isDigest, UserError, type Digest } from '@boxship/model';

/**
 * A normalised image reference (distribution/reference `normalize.go`): the registry is always there, `library/` too,
 * and the tag is `latest` when neither tag nor digest was written.
 */
export interface Reference {
  /** Host and optional port: `docker.io`, `registry.example.com:5000`. */
  readonly registry: string;
  /** Path on the registry: `library/busybox`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

// distribution/reference regexp.go
const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** distribution/reference `NameTotalLengthMax`. */
const NAME_LENGTH_MAX = 255;

/**
 * The reference that `text` means, as docker reads it: `busybox` is `docker.io/library/busybox:latest`.
 * Errors: BAD_REFERENCE, which quotes the text and says which part is wrong.
 */
export function parseReference(text: string): Reference {
  const wrong = (
    why: string,
    hint = 'Write it as registry.example.com/team/app:1.2 (registry and tag may be left out).',
  ) => new UserError('BAD_REFERENCE', `"${text}" is not an image reference: ${why}`, hint);
  if (text === '') throw wrong('it is empty');
  if (/\s/.test(text)) throw wrong('it contains white space');
  if (/^[a-z]+:\/\//i.test(text)) throw wrong('it has a URL scheme', 'Leave out "https://".');

  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const digestText = rest.slice(at + 1);
    if (!isDigest(digestText))
      throw wrong(`"${digestText}" is not a digest`, 'A digest is "sha256:" and 64 lower-case hex digits.');
    digest = digestText;
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    // `host:5000` alone reads as a name with a tag, as it does for docker
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag))
      throw wrong(`"${tag}" is not a tag`, 'A tag has letters, digits, "_", "." and "-", at most 128 of them.');
  }
  if (rest === '') throw wrong('the name is missing');
  if (tag === undefined && digest === undefined && /^[0-9a-f]{64}$/.test(rest)) {
    throw wrong('64 hex digits are an image id, not a name');
  }

  const { registry, repository } = splitName(rest);
  if (!DOMAIN.test(registry)) throw wrong(`"${registry}" is not a registry host`);
  const badPart = repository.split('/').find((part) => !PATH_PART.test(part));
  if (badPart !== undefined) {
    const upper = badPart !== badPart.toLowerCase();
    throw wrong(
      badPart === '' ? 'the name has an empty part' : `"${badPart}" is not a part of a repository name`,
      upper
        ? 'Repository names are lower case.'
        : 'Parts are lower-case letters and digits, joined by ".", "_", "__" or "-".',
    );
  }
  if (repository.length > NAME_LENGTH_MAX)
    throw wrong(`its name has ${repository.length} characters, ${NAME_LENGTH_MAX} are allowed`);
  if (tag === undefined && digest === undefined) tag = 'latest';
  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** distribution/reference `splitDockerDomain`: the first part is a host when it looks like one. */
function splitName(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const isHost = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  let registry = isHost ? first : 'docker.io';
  let repository = isHost ? name.slice(slash + 1) : name;
  if (registry === 'index.docker.io') registry = 'docker.io';
  if (registry === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`;
  return { registry, repository };
}

/** `registry/repository[:tag][@digest]`, in full; `parseReference` reads it back as the same value. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** The reference as docker shows it: `docker.io/` and, there, `library/` are left out. */
export function familiarName(reference: Reference): string {
  const full = formatReference(reference);
  if (reference.registry !== 'docker.io') return full;
  const short = full.slice('docker.io/'.length);
  return /^library\/[^/]+$/.test(reference.repository) ? short.slice('library/'.length) : short;
}
