import type { Command } from 'commander';
import {
  formatChanges,
  generateLayers,
  layerPinsPath,
  pinned,
  planLayer,
  readLayerPins,
  resolveUpstreams,
  upstreamsOf,
  writeLayer,
  writeLayerPins,
  wrongLayersOnDisk,
  type GeneratedLayers,
  type LayerChange,
  type Upstream,
} from '@boxship/generate';
import { readProductFile } from '@boxship/catalog';
import { UserError, type Problem } from '@boxship/model';
import { defineAction, examples } from './define-action.ts';
import { reportDocument } from './error-report.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { GlobalOptions, Session } from './session.ts';
import { shownPath } from './shown-path.ts';

interface LayerFlags {
  readonly out?: string;
  readonly release?: string;
  readonly stores?: string;
  readonly pin?: true;
  readonly check?: true;
  readonly dryRun?: true;
  readonly overwrite?: true;
}

/** `boxship layer`: the Yocto layer of the product. */
export function addLayer(program: Command): void {
  const command = program
    .command('layer')
    .summary('generate the Yocto layer that makes an image a host of these containers')
    .description(
      'Writes meta-<product>, made from boxship.yaml, and meta-boxship, which it stands on, beside each other: recipes, kernel\n' +
        'options, the layout of the disk, kas and bitbake-setup files. Needs no boxship.lock and, without --pin and --check, no\n' +
        'network. Files that you added stay; files that you changed are told, and stay until --overwrite.',
    )
    .option('--out <folder>', 'folder that both layers lie in (default: yocto/ beside the product file)')
    .option('--release <name>', 'another release than boxship.yaml names: scarthgap, whinlatter, wrynose, master')
    .option(
      '--stores <folder>',
      'what boxship store wrote, for yocto.bundle: build (default: store/ beside the product file)',
    )
    .option('--pin', 'ask every layer for its newest commit, and pin it in boxship-layers.lock and the kas lock files')
    .option('--check', 'change nothing; tell what moved upstream, was edited, is stale or is of another release')
    .option('--dry-run', 'change nothing; show what would change as a diff')
    .option('--overwrite', 'replace generated files that were changed by hand, too');
  examples(command, [
    ['boxship layer', 'write or renew yocto/meta-<product> and yocto/meta-boxship'],
    ['boxship layer --pin', 'the same, with the commits of today'],
    ['boxship layer --dry-run', 'what would change, as diff -u shows it'],
    ['boxship layer --check --json', 'for CI: ends with code 1 when a generated file is edited or stale'],
  ]);
  defineAction<LayerFlags>(command, async (session, options) => {
    if (options.check) return await check(session, options);
    const pins = options.pin ? await newPins(session, options) : undefined;
    const generated = await generateLayers(session.file, { ...options, ...(pins ? { pins } : {}) });
    const { layers, plan, out, product } = generated;
    if (options.dryRun) {
      session.result(documentOf(generated), layers.map(formatChanges).join('') || 'nothing would change\n');
      return;
    }
    const edited = options.overwrite ? [] : editedFiles(generated);
    if (pins) await writeLayerPins(product.file, pins);
    for (const layer of layers) await writeLayer(layer, { overwrite: options.overwrite ?? false });
    session.result(
      documentOf(generated),
      layers.map((layer) => `${shownPath(layer.folder)}  ${countsOf(layer.changes, options.overwrite)}\n`).join('') +
        (pins ? `${shownPath(layerPinsPath(product.file))}  ${upstreamsOf(plan).length} branches pinned\n` : '') +
        edited.map((path) => `  kept, changed by hand: ${path}\n`).join('') +
        (edited.length > 0
          ? '  hint: boxship layer --dry-run shows the differences, --overwrite takes them back.\n'
          : '') +
        nextStep(generated, out),
    );
  });
}

async function newPins({ file, signal }: Session, { release }: LayerFlags) {
  const product = await readProductFile(file);
  const plan = planLayer(product, release === undefined ? {} : { release }); // without the pins of today
  const commits = await resolveUpstreams(product.file, upstreamsOf(plan), signal);
  return pinned(await readLayerPins(product.file), plan.release.name, commits);
}

async function check(session: Session, options: LayerFlags & GlobalOptions): Promise<ExitCode> {
  const generated = await generateLayers(session.file, options);
  const { layers, plan, out, product } = generated;
  const problems: Problem[] = [];
  for (const { folder, isNew, changes } of layers) {
    if (isNew) {
      problems.push({ code: 'NO_LAYER', message: `there is no ${shownPath(folder)}`, hint: 'Run: boxship layer' });
      continue;
    }
    const stale = changes.filter(({ action }) => action !== 'edited');
    if (stale.length > 0) {
      problems.push({
        code: 'LAYER_STALE',
        message: `${shownPath(folder)} is not what boxship.yaml makes: ${countsOf(stale)}`,
        hint: 'Run: boxship layer',
      });
    }
  }
  for (const path of editedFiles(generated)) {
    problems.push({
      code: 'LAYER_EDITED',
      message: `${path} was generated and then changed by hand`,
      hint: 'Put the change into a file of your own, or into boxship.yaml, and run: boxship layer --overwrite',
    });
  }
  problems.push(...(await wrongLayersOnDisk(out, plan)));
  const upstreams = upstreamsOf(plan);
  const commits = await resolveUpstreams(product.file, upstreams, session.signal).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    problems.push(...error.problems); // beside what else is wrong
    return new Map<Upstream, string>();
  });
  const known = upstreams.filter((upstream) => commits.has(upstream));
  const states = known.map((upstream) => ({
    ...upstream,
    newest: commits.get(upstream)!,
    state:
      upstream.pinned === undefined ? 'not pinned' : upstream.pinned === commits.get(upstream) ? 'pinned' : 'moved',
  }));
  const lines = states.map(({ state, repository, branch, pinned: pin, newest }) => {
    const commit = state === 'moved' ? `${pin!.slice(0, 12)} -> ${newest.slice(0, 12)}` : newest.slice(0, 12);
    return `${state.padEnd(10)}  ${repository} ${branch}  ${commit}\n`;
  });
  if (problems.length === 0) {
    session.result({ upstreams: states, problems: [] }, lines.join(''));
    return exitCodes.ok;
  }
  if (options.json) {
    const exitCode = exitCodes.userError;
    session.result({ upstreams: states, ...reportDocument({ problems, exitCode }) }, '');
    return exitCode;
  }
  session.say(lines.join(''));
  throw new UserError(problems);
}

function editedFiles({ layers }: GeneratedLayers): readonly string[] {
  return layers.flatMap(({ layer, changes }) =>
    changes.filter(({ action }) => action === 'edited').map(({ path }) => `${layer}/${path}`),
  );
}

function countsOf(changes: readonly LayerChange[], overwrite = false): string {
  const edited = overwrite ? 'taken back' : 'kept as edited';
  const words = { create: 'new', update: 'changed', remove: 'removed', edited } as const;
  const counts = Object.entries(words).flatMap(([action, word]) => {
    const count = changes.filter((change) => change.action === action).length;
    return count === 0 ? [] : [`${count} ${word}`];
  });
  return counts.length === 0 ? 'nothing changed' : counts.join(', ');
}

function documentOf({ plan, layers, out }: GeneratedLayers): object {
  return {
    release: plan.release.name,
    out,
    layers: layers.map(({ layer, folder, changes }) => ({
      layer,
      folder,
      changes: changes.map(({ path, action }) => ({ path, action })),
    })),
  };
}

function nextStep({ plan }: GeneratedLayers, out: string): string {
  const [variant] = plan.variants;
  const [machine] = variant?.machines ?? [];
  if (!variant || !machine) return '';
  return `\nbuild:  cd ${shownPath(out)} && kas build meta-${plan.section.name}/kas/${machine.name}-${variant.name}.yml\n`;
}
