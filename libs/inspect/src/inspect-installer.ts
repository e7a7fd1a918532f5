import { join } from 'node:path';
import type { BaseImage } from '@boxship/formats';
import { openFileReader } from '@boxship/host';
import { MiB, type Problem } from '@boxship/model';
import { inspectFilesystem } from './inspect-filesystem.ts';
import { inspectSystem } from './inspect-system.ts';
import type { InspectedDevice, InspectedFilesystem, InspectedInstaller, InspectedPartition } from './inspection.ts';
import { attempt } from './problems.ts';

type Installer = NonNullable<BaseImage['tezi']>;
type Content = NonNullable<NonNullable<NonNullable<Installer['json']['blockdevs']>[number]['partitions']>[number]['content']>; // prettier-ignore

/** A partition, a UBI volume, or a whole device that takes boot code. */
interface Part {
  readonly name?: string;
  readonly content?: Content;
  readonly size?: number;
}

/** The parts of an installer's image, as its own description has them. Faults go to `problems`. */
export async function inspectInstaller(
  image: BaseImage,
  description: Installer,
  publicKeyPem: string | undefined,
  problems: Problem[],
): Promise<{ readonly installer: InspectedInstaller; readonly devices: readonly InspectedDevice[] }> {
  const { json, configFormat, folder } = description;
  const rootfs = await attempt(problems, async () => {
    const { partition, files } = await image.openRootfs({});
    return { partition, system: await inspectSystem(files) };
  });
  const devices: InspectedDevice[] = [];
  for (const { name, parts } of partsOf(json)) {
    const partitions: InspectedPartition[] = [];
    for (const [at, part] of parts.entries()) {
      const system = rootfs?.partition === at + 1 && part.content?.filename !== undefined ? rootfs.system : undefined;
      partitions.push(await inspectPart(part, at + 1, folder, system, publicKeyPem));
    }
    devices.push({ name, partitions });
  }
  const { name, supported_product_ids, autoinstall } = json;
  const version = (json as { readonly version?: unknown }).version;
  const installer = {
    name,
    ...(typeof version === 'string' ? { version } : {}),
    configFormat,
    productIds: supported_product_ids,
    autoinstall: autoinstall === true,
  };
  return { installer, devices };
}

function partsOf({ blockdevs, mtddevs }: Installer['json']): readonly { readonly name: string; readonly parts: readonly Part[] }[] {
  const whole = (content: Content | undefined): Part[] => (content ? [{ content }] : []);
  const blocks = (blockdevs ?? []).map(({ name, partitions, content }) => ({
    name,
    parts: partitions?.map(({ content: inside, partition_size_nominal: nominal }): Part => {
      const size = Number(nominal) * MiB;
      return { ...(inside ? { content: inside } : {}), ...(Number.isFinite(size) ? { size } : {}) };
    }) ?? whole(content),
  }));
  const flash = (mtddevs ?? []).map(({ name, ubivolumes, content }) => ({
    name,
    parts: ubivolumes?.map((volume): Part => ({ name: volume.name, ...(volume.content ? { content: volume.content } : {}) })) ?? whole(content),
  }));
  return [...blocks, ...flash];
} // prettier-ignore

async function inspectPart(
  { name, content, size }: Part,
  number: number,
  folder: string,
  system: InspectedFilesystem['system'],
  publicKeyPem: string | undefined,
): Promise<InspectedPartition> {
  const problems: Problem[] = [];
  const label = content?.label;
  const raw = [content?.rawfile, ...(content?.rawfiles ?? [])].flatMap((file) => (file ? [file.filename] : []));
  const isOneRaw = content?.filesystem_type === 'raw' && raw.length === 1;
  const inside = isOneRaw ? await inspectRawFile(join(folder, raw[0]!), publicKeyPem, problems) : undefined;
  const filesystem: InspectedFilesystem | undefined =
    inside && inside.kind !== 'unknown'
      ? inside
      : content && {
          kind: content.filesystem_type ?? 'unknown',
          ...(label === undefined ? {} : { label }),
          ...(system ? { system } : {}),
        };
  const files = [...(content?.filename === undefined ? [] : [content.filename]), ...raw, ...(content?.filelist ?? [])];
  const shown = name ?? label;
  return {
    number,
    ...(shown === undefined ? {} : { name: shown }),
    ...(size === undefined ? {} : { size }),
    ...(files.length > 0 ? { files } : {}),
    ...(filesystem ? { filesystem } : {}),
    problems,
  };
}

/** The file system that a raw file of an installer is, when it is one. */
async function inspectRawFile(
  path: string,
  publicKeyPem: string | undefined,
  problems: Problem[],
): Promise<InspectedFilesystem | undefined> {
  return await attempt(problems, async () => {
    await using reader = await openFileReader(path);
    return await inspectFilesystem(reader, publicKeyPem, problems);
  });
}
