import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { composeProduct, openProduct, type ComposedVariant, type OpenProduct } from '@boxship/compose';
import { UserError, formatByteSize } from '@boxship/model';
import type { Signer } from 'cosign-node-binding';
import { defineAction, examples } from './define-action.ts';
import { askHidden } from './password.ts';
import { formatPlan } from './plan-report.ts';
import { addSelectionOptions, selectionOf, type SelectionFlags } from './selection-options.ts';
import type { Session } from './session.ts';
import { shownPath } from './shown-path.ts';
import { formatTable } from './table.ts';
import { version } from './version-number.ts';

interface ComposeFlags extends SelectionFlags {
  readonly out?: string;
  readonly verify?: true;
  readonly release?: true;
}

/** `boxship compose`: signed artifacts of every variant. */
export function addCompose(program: Command): void {
  const command = addSelectionOptions(
    program
      .command('compose')
      .summary('make the signed artifacts of every variant')
      .description(
        'Composes the base image with the container bundle, signs the result, and puts it in\n' +
          '<out>/<product>-<version>/<machine>-<engine>-<variant>/, which appears whole or not at all. Needs boxship.lock,\n' +
          'the private key and its password (in COSIGN_PASSWORD, or asked for on a terminal). Needs no network and no root.\n' +
          'What is there already from equal inputs is left as it is.',
      ),
  )
    .option('--out <folder>', 'where the releases go (default: deploy/ beside the product file)')
    .option('--verify', 'hash what is there already again instead of trusting size, times and inode')
    .option('--release', 'refuse a development key: what is made may leave the house');
  examples(command, [
    ['boxship compose', 'every variant'],
    ['boxship compose --variant pro --out /srv/images', 'one variant, elsewhere'],
    [
      'boxship compose --release --json > release-list.json',
      'on a build server: for customers, with a list for the next step',
    ],
  ]);
  defineAction<ComposeFlags>(command, async (session, options) => {
    const { cache, progress, signal } = session;
    const allowToolVersions = options.allowToolVersions ?? false;
    const open = await openProduct(session.file, { cache, progress, version, allowToolVersions });
    if (options.release) {
      refuseDevelopmentKey(open);
      refuseBakedSecrets(open, selectionOf(options));
    }
    const out = options.out ?? resolve(dirname(open.product.file), 'deploy');
    const composed = await composeProduct({ ...open, signer: () => openSigner(open, session) }, selectionOf(options), {
      out,
      verify: options.verify ?? false,
      signal,
      onPlan: (plan) => session.say(`${formatPlan(plan, { verbose: options.verbose ?? false })}\n`),
    });
    session.result({ variants: composed.map(describe) }, formatComposed(composed));
    if (open.isDevelopment) warnOfDevelopmentKey(session);
  });
}

/** Errors: DEVELOPMENT_KEY. */
export function refuseDevelopmentKey({ isDevelopment }: OpenProduct): void {
  if (!isDevelopment) return;
  throw new UserError(
    'DEVELOPMENT_KEY',
    'the signing key is marked as a development key',
    'Name the release key in boxship.yaml: signing: { key: … }. boxship keygen makes one.',
  );
}

/** What leaves the house holds no secret. Errors: BAKED_SECRET. */
export function refuseBakedSecrets(open: OpenProduct, selection: ReturnType<typeof selectionOf>): void {
  const names = new Set(open.variants(selection).flatMap(({ apps }) => apps.map(({ name }) => name)));
  const problems = [...names].flatMap((name) => {
    const { app, product } = open.apps.get(name)!;
    const baked = (app.secrets ?? []).filter(({ place }) => place.from === 'image');
    return baked.map((secret) => ({
      code: 'BAKED_SECRET',
      message: `the secret "${secret.name}" of the app "${name}" would be in the image, for whoever has it to read`,
      hint: 'Take "bake" out and bring the secret to the device, or compose without --release to try things.',
      where: product.secrets[secret.name]!.where,
    }));
  });
  if (problems.length > 0) throw new UserError(problems);
}

export function warnOfDevelopmentKey({ progress }: Session): void {
  progress.warn('SIGNED WITH A DEVELOPMENT KEY. These artifacts are for trying things: whoever has the development');
  progress.warn('key can make images that these devices take for yours. For customers: boxship compose --release');
}

/** The private key, when something has to be signed: its password is asked for where a person sits. */
export async function openSigner(open: OpenProduct, session: Session): Promise<Signer> {
  const { key, passwordEnvironment: variable } = open.product.signing!;
  if (process.env[variable] === undefined && process.stdin.isTTY === true) {
    process.env[variable] = await askHidden(`Password of ${key}: `, session);
  }
  return await open.signer();
}

/** A composed variant for `--json`; its variant is in `release`. */
function describe({ variant, folder, unchanged, release }: ComposedVariant): object {
  return { name: variant.name, machine: variant.machine.name, folder, unchanged, release };
}

function formatComposed(composed: readonly ComposedVariant[]): string {
  return composed
    .map(({ folder, unchanged, release }) => {
      const rows = release.files.map(({ name, size, digest }) => [name, formatByteSize(size), digest]);
      const table = formatTable(['file', 'size', 'digest'], rows, [1]).replace(/^/gm, '  ');
      return `${unchanged ? 'unchanged' : 'composed'}  ${shownPath(folder)}\n${table}\n`;
    })
    .join('\n');
}
