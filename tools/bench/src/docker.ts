import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram, startProgram } from '@boxship/host';
import { measure, type Measured } from './measure.ts';

/**
 * What today's tools do: `docker load` of every image into an empty data root of a private dockerd, then `tar` of it, and `xz` of
 * that where asked. CPU time includes that of the daemon; memory does not.
 */
export async function loadAndPack(
  references: readonly string[],
  folder: string,
  { xz = false }: { readonly xz?: boolean } = {},
): Promise<Measured> {
  const root = join(folder, 'docker');
  const socket = `unix://${root}/docker.sock`;
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, 'data'), { recursive: true });
  for (const reference of references) {
    const name = reference.split('/').at(-1)!.split(':')[0]!;
    const layout = join(folder, 'images', name);
    await runProgram('skopeo', [
      'copy',
      '--insecure-policy',
      `oci:${layout}`,
      `docker-archive:${root}/${name}.tar:${reference}`,
    ]);
  }
  const daemon = await startProgram('dockerd', [
    ...['--data-root', join(root, 'data'), '--exec-root', join(root, 'exec'), '--pidfile', join(root, 'pid')],
    ...['-H', socket, '--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=overlay2'],
  ]);
  try {
    const docker = ['-H', socket];
    await waitFor(() => runProgram('docker', [...docker, 'version']));
    let [seconds, cpuSeconds, userSeconds, peakBytes] = [0, 0, 0, 0];
    const timed = async (program: string, args: string[]) => {
      const part = await measure(program, args);
      seconds += part.seconds;
      cpuSeconds += part.cpuSeconds;
      userSeconds += part.userSeconds;
      peakBytes = Math.max(peakBytes, part.peakBytes);
    };
    for (const reference of references) {
      const name = reference.split('/').at(-1)!.split(':')[0]!;
      await timed('docker', [...docker, 'load', '-q', '-i', join(root, `${name}.tar`)]);
    }
    await timed('tar', [
      '-C',
      join(root, 'data'),
      '--xattrs',
      '--xattrs-include=*',
      '-cf',
      join(root, 'store.tar'),
      'image',
      'overlay2',
    ]);
    if (xz) await timed('xz', ['-T1', join(root, 'store.tar')]);
    await timed('sync', ['-f', root]);
    const [user, system] = processSeconds(daemon.pid);
    cpuSeconds += user + system;
    userSeconds += user;
    return { seconds, cpuSeconds, userSeconds, peakBytes };
  } finally {
    await daemon.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

/** User and system time of a process and of what it waited for: proc(5), in ticks of 10 ms. */
function processSeconds(pid: number): readonly [number, number] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number); // from the third one on
  return [(fields[11]! + fields[13]!) / 100, (fields[12]! + fields[14]!) / 100];
}

async function waitFor(ready: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await ready();
      return;
    } catch (error) {
      if (attempt >= 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
