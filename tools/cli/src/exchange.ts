import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  openProduct,
  type ExchangedRelease,
  type ExchangeOptions,
  type ExchangePlan,
  type OpenProduct,
} from '@boxship/compose';
import { formatByteSize } from '@boxship/model';
import { openSigner, refuseDevelopmentKey, warnOfDevelopmentKey } from './compose.ts';
import { readKeyFile } from './import-key.ts';
import { formatReleasePlan } from './plan-report.ts';
import type { Session } from './session.ts';
import { shownPath } from './shown-path.ts';
import { formatTable } from './table.ts';
import { version } from './version-number.ts';

export interface ExchangeFlags {
  readonly key?: string;
  readonly out?: string;
  readonly dryRun?: true;
  readonly release?: true;
  readonly allowToolVersions?: true;
  readonly verbose?: true;
}

/** Options of the commands that exchange a half of a release. */
export function addExchangeOptions(command: Command): Command {
  return command
    .option('--key <file>', "public key that the release must be signed with (default: the product's)")
    .option('--out <folder>', 'where the new release goes (default: deploy/ beside the product file)')
    .option('-n, --dry-run', 'plan and check everything, write nothing')
    .option('--release', 'refuse a development key: what is made may leave the house')
    .option('--allow-tool-versions', 'take other versions of host programs than boxship.lock has; bytes may differ')
    .option('-v, --verbose', 'list every change of the rootfs');
}

/** Opens the product, lets `work` make a new release of one that is there, and tells what came of it. */
export async function exchangeRelease(
  session: Session,
  flags: ExchangeFlags,
  work: (open: OpenProduct, options: ExchangeOptions) => Promise<ExchangedRelease>,
): Promise<void> {
  const { cache, progress, signal } = session;
  const open = await openProduct(session.file, {
    cache,
    progress,
    version,
    allowToolVersions: flags.allowToolVersions ?? false,
  });
  if (flags.release) refuseDevelopmentKey(open);
  const publicKeyPem = flags.key === undefined ? undefined : await readKeyFile(flags.key);
  const made = await work(
    { ...open, signer: () => openSigner(open, session) },
    {
      out: flags.out ?? resolve(dirname(open.product.file), 'deploy'),
      ...(publicKeyPem === undefined ? {} : { publicKeyPem }),
      dryRun: flags.dryRun ?? false,
      signal,
      onPlan: (plan) => session.say(formatExchange(plan, { verbose: flags.verbose ?? false })),
    },
  );
  const { plan, folder, release } = made;
  session.result({ plan, folder, ...(release ? { release } : {}) }, release ? formatMade(made) : '');
  if (release && open.isDevelopment) warnOfDevelopmentKey(session);
}

function formatExchange(plan: ExchangePlan, options: { readonly verbose: boolean }): string {
  const what = plan.exchanged === 'apps' ? 'new apps in' : 'a new base under the apps of';
  return `${what} ${plan.from}\n  kept byte for byte: ${plan.kept.join(', ')}\n${formatReleasePlan(plan, options)}\n`;
}

function formatMade({ folder, release }: ExchangedRelease): string {
  const rows = release!.files.map(({ name, size, digest }) => [name, formatByteSize(size), digest]);
  return `made  ${shownPath(folder)}\n${formatTable(['file', 'size', 'digest'], rows, [1]).replace(/^/gm, '  ')}\n`;
}
