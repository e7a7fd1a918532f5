import { expect, it } from 'vitest';
import type { VariantPlan } from '@boxship/compose';
import { GiB, MiB, type Digest } from '@boxship/model';
import { formatPlan } from './plan-report.ts';

const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}`;
const blob = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digest('b'), size: 3 * MiB };
const partition = (number: number, name: string, start: number, size: number, role: 'vendor' | 'rootfs' | 'store' | 'data') =>
  ({ number, name, start, size, role, type: '0fc63daf-8483-4772-8e79-3d69d8477de4', partitionUuid: 'x' }); // prettier-ignore
const vendor = [partition(1, 'boot', MiB, 64 * MiB, 'vendor'), partition(2, 'rootfs', 65 * MiB, GiB, 'rootfs')];
const image = (reference: string, layers: number) => ({
  reference,
  platform: 'linux/arm64',
  manifest: { ...blob, digest: digest('d') },
  config: { ...blob, digest: digest('c') },
  layers: Array.from({ length: layers }, () => ({ blob, diffId: digest('1') })),
});

const plan: VariantPlan = {
  variant: {
    product: 'acme-gateway',
    version: '1.4.0',
    name: 'pro',
    machine: { name: 'verdin', platform: 'linux/arm64' },
    base: { digest: digest('a'), size: 2 * GiB },
    engine: { name: 'docker' },
    apps: [],
    images: [image('registry.example.com/acme/gateway:1.4', 2), image('registry.example.com/acme/hmi:1.4', 1)],
    artifacts: [{ format: 'raw', compression: 'none', bmap: true }],
    store: { size: 'auto', reserve: 0.2 },
    dataSize: 64 * MiB,
    signing: { keyId: 'x', development: false },
    epoch: 0,
    tools: {},
  },
  folder: 'acme-gateway-1.4.0/verdin-docker-pro',
  files: ['acme-gateway-1.4.0-verdin-pro.img', 'acme-gateway-1.4.0-verdin-pro.img.bmap'],
  table: {
    type: 'gpt',
    before: { size: 2 * GiB, partitions: vendor },
    after: {
      size: 3 * GiB,
      partitions: [
        ...vendor,
        partition(3, 'boxship-store', 2 * GiB, 512 * MiB, 'store'),
        partition(4, 'boxship-data', 2 * GiB + 512 * MiB, 64 * MiB, 'data'),
      ],
    },
  },
  rootfs: {
    partition: 2,
    changes: [
      { path: '/usr/lib/systemd/system/boxship-verify.service', action: 'add', why: 'proves the store before the engine starts' },
      { path: '/usr/lib/boxship/grow', action: 'replace', why: 'grows the data partition' },
    ],
  },
  budget: {
    size: 512 * MiB,
    contents: 350 * MiB,
    overhead: 20 * MiB,
    free: 142 * MiB,
    reserve: 0.2,
    apps: [{ name: 'gateway', bytes: 200 * MiB, shared: 50 * MiB, files: 12_345 }],
    layers: Array.from({ length: 12 }, (_, i) => ({
      diffId: digest((i % 10).toString()),
      bytes: (100 - i) * MiB,
      entries: 1000 - i,
      images: ['registry.example.com/acme/gateway:1.4'],
      apps: ['gateway'],
    })),
  },
  warnings: ['the kernel has no cgroup controllers\n  hint: Switch CONFIG_MEMCG on.'],
}; // prettier-ignore

it('shows a plan to people', async () => {
  await expect(formatPlan(plan, { verbose: false })).toMatchFileSnapshot('golden/plan.txt');
});

it('shows every file and layer when asked', async () => {
  await expect(formatPlan(plan, { verbose: true })).toMatchFileSnapshot('golden/plan-verbose.txt');
});

it('says that a base image with the device socket is not touched', () => {
  const untouched = { ...plan, rootfs: { partition: 2, changes: [] } };
  expect(formatPlan(untouched, { verbose: false })).toContain('has the device socket already, not one byte changes');
});
