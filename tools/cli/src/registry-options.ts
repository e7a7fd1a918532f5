import type { Command } from 'commander';
import { UserError } from '@boxship/model';
import type { RegistryOptions } from '@boxship/oci';
import { collect } from './define-action.ts';

export interface RegistryFlags {
  readonly registryMirror?: readonly string[];
  readonly ca?: readonly string[];
  readonly insecureRegistry?: readonly string[];
}

/** Options of the commands that ask registries. */
export function addRegistryOptions(command: Command): Command {
  return command
    .option('--registry-mirror <host=url>', 'ask this mirror of a registry first; may come several times', collect)
    .option(
      '--ca <file>',
      'trust this CA certificate (PEM) besides those of the system; may come several times',
      collect,
    )
    .option('--insecure-registry <host>', 'allow plain HTTP for this registry; may come several times', collect);
}

/** What the flags say, as the registry client takes it. Errors: BAD_MIRROR. */
export function registryOptions({
  registryMirror = [],
  ca = [],
  insecureRegistry = [],
}: RegistryFlags): RegistryOptions {
  const mirrors: Record<string, string[]> = {};
  for (const text of registryMirror) {
    const [, host, url] = /^([^=/]+)=(.+)$/.exec(text) ?? [];
    if (host === undefined || url === undefined) {
      throw new UserError('BAD_MIRROR', `"${text}" is not a registry and its mirror`, 'Write it as docker.io=https://mirror.example.com.'); // prettier-ignore
    }
    (mirrors[host] ??= []).push(url);
  }
  return { mirrors, caFiles: ca, plainHttp: insecureRegistry };
}
