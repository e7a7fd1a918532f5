import { join } from 'node:path';
import type { Payload } from '@boxship/formats';
import { runProgram } from '@boxship/host';

const PARTS =
  'for range in $RANGES; do dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip=${range%-*} count=$((${range#*-} - ${range%-*})) status=none; done | sha256sum';

/**
 * The digest of a payload as somebody without Boxship computes it: as docs/release-file.md says, with dd and sha256sum. `image`
 * is the artifact, plain; of an update the folder with what its own tool took out of it.
 */
export async function payloadByTools(image: string, { base, rootfsChanges, parts }: Payload): Promise<string> {
  const shell = async (script: string, env: Record<string, string>, file?: string) =>
    (
      await runProgram('sh', ['-ec', script, 'sh', file === undefined ? image : join(image, file)], {
        env: { ...env, PATH: process.env['PATH'] ?? '' },
      })
    ).stdout.toString();
  const lines = [`${base!.replace('sha256:', '')}  base\n`];
  const changes = await shell('printf %s "$PATHS" | sha256sum', {
    PATHS: rootfsChanges.map((path) => `${path}\n`).join(''),
  });
  lines.push(`${changes.slice(0, 64)}  rootfs-changes\n`);
  for (const { name, file, ranges } of parts) {
    const found = await shell(PARTS, { RANGES: ranges.map(({ start, end }) => `${start}-${end}`).join(' ') }, file);
    lines.push(`${found.slice(0, 64)}  ${name}\n`);
  }
  return `sha256:${(await shell('printf %s "$LINES_" | sha256sum', { LINES_: lines.join('') })).slice(0, 64)}`;
}
