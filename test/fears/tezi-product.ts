import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '@boxship/host';
import { ROOTFS_START } from '../fixtures/tiny-base/build.mjs';
import { fearProduct, type FearProduct, type LayerEntry } from './fear-product.ts';

/** Layers so large that a thread writes them to their places itself, and small ones that come as streams. */
const LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    { name: 'bin/', type: 'directory', mode: 0o755 },
    { name: 'bin/app', mode: 0o755, body: randomBytes(5 << 20) },
    { name: 'bin/other', mode: 0o755, body: randomBytes(2 << 20) },
  ],
  [{ name: 'etc/app.conf', mode: 0o644, body: Buffer.from('colour = blue\n') }],
];

export interface TeziProductOptions {
  readonly ostree?: boolean;
  /** Changes of boxship.yaml before it is written. */
  readonly change?: (text: string) => string;
  /** The module that the vendor made it for. */
  readonly productId?: string;
}

/** A product whose base is the rootfs of the tiny base, as its vendor would give it to the installer. */
export async function teziProduct({
  ostree = false,
  change = (text) => text,
  productId = '0001',
}: TeziProductOptions = {}): Promise<FearProduct> {
  const yaml = (text: string) => change(`${text.replace('./vendor.img', './tezi')}artifacts: [tezi]\n`);
  const files = ostree ? { 'ostree/repo/config': '[core]\n' } : {};
  const product = await fearProduct({ layers: LAYERS, yaml, base: { files } });
  const image = product.path('tezi');
  await mkdir(image);
  const script = `dd if=vendor.img of=rootfs.img bs=1M skip=${ROOTFS_START >> 20} status=none && mkdir root && debugfs -R 'rdump / root' rootfs.img 2>/dev/null
    tar -C root --owner=0 --group=0 --exclude=./lost+found -cJf tezi/rootfs.tar.xz . && rm -r root rootfs.img && echo script >tezi/prepare.sh`;
  await runProgram('sh', ['-ec', script], { cwd: product.folder });
  const json = {
    config_format: 2,
    name: 'Tiny',
    prepare_script: 'prepare.sh',
    supported_product_ids: [productId],
    blockdevs: [
      {
        name: 'emmc',
        partitions: [
          {
            partition_size_nominal: 64,
            content: { label: 'RFS', filesystem_type: 'ext4', filename: 'rootfs.tar.xz', uncompressed_size: 1 },
          },
        ],
      },
    ],
  };
  await writeFile(join(image, 'image.json'), JSON.stringify(json, null, 2));
  return product;
}
