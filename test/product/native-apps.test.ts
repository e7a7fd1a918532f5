import { constants, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startMachine, type Shell } from '@boxship/boot';
import { runProgram } from '@boxship/host';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { fetchDebianPackage } from '../../tools/setup/debian-tools.mjs';
import { buildBaseImage } from '../fixtures/base-image/build.mjs';
import { shellOn } from './boot-console.ts';
import { boxship, composeSample, makeSampleProduct, type SampleRelease } from './sample-product.ts';

// Apps in podman's own languages, as their authors wrote them: Quadlet files and Kubernetes objects, on a device with podman 5.4.

const IMAGE = 'registry.example.com/acme/gateway:1.0';
const UP = /boxship-demo: gateway 1\.0 is up \(\d+ checks ok\)/;

const FILES = {
  'apps/units/probe.container': `[Container]
Image=${IMAGE}
ContainerName=probe
Volume=probe.volume:/data
Network=probe.network
Pull=never
[Service]
Restart=always
[Install]
WantedBy=default.target
`,
  'apps/units/probe.volume': '[Volume]\n',
  'apps/units/probe.network': '[Network]\nInternal=true\n',
  'apps/cluster.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: cluster }
spec:
  selector: { matchLabels: { app: cluster } }
  template:
    metadata: { labels: { app: cluster } }
    spec:
      containers:
        - { name: main, image: ${IMAGE}, imagePullPolicy: Never, volumeMounts: [{ name: data, mountPath: /data }] }
      volumes: [{ name: data, persistentVolumeClaim: { claimName: cluster-data } }]
`,
};

let folder = '';
let release: SampleRelease;
beforeAll(async () => {
  folder = await mkdtemp(join(inject('scratch'), 'native-apps-'));
  const base = await addCatatonit((await buildBaseImage({ engine: 'podman' })).image);
  const { program, folder: other } = inject('product');
  const product = await makeSampleProduct({ program, folder: join(folder, 'product'), base, engine: 'podman', keys: join(other, 'keys') }); // prettier-ignore
  await mkdir(join(product.folder, 'apps/units'));
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(product.folder, name), text);
  const yaml = join(product.folder, 'boxship.yaml');
  const apps = 'apps:\n  units: { quadlet: ./apps/units }\n  cluster: { kubernetes: ./apps/cluster.yaml }\n';
  const text = (await readFile(yaml, 'utf8')).replace('apps:\n', apps);
  await writeFile(yaml, text.replace('basic: { apps: [gateway] }', 'basic: { apps: [units, cluster] }'));
  await boxship(product, 'lock');
  release = await composeSample(product, 'basic');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** podman holds a pod together with catatonit, which Debian's package recommends only: as a vendor would ship it. */
async function addCatatonit(image: string): Promise<string> {
  const { folder: tree } = await fetchDebianPackage({ suite: 'trixie', package: 'catatonit' });
  const copy = join(folder, 'vendor.img');
  await copyFile(image, copy, constants.COPYFILE_FICLONE);
  const { stdout } = await runProgram('sfdisk', ['--json', copy]);
  const { partitions } = JSON.parse(stdout.toString()).partitiontable as { partitions: { start: number }[] };
  const script = join(folder, 'script');
  const path = 'usr/bin/catatonit';
  await writeFile(script, `write ${join(tree, path)} ${path}\nset_inode_field ${path} mode 0100755\n`);
  await runProgram('debugfs', ['-w', '-f', script, `${copy}?offset=${partitions[1]!.start * 512}`]);
  return copy;
}

/** Waits until podman has the line in the log of a container; nothing of it comes to the console. */
async function logged(shell: Shell, container: string, line: RegExp): Promise<void> {
  const until = Date.now() + 600_000;
  for (;;) {
    const { output } = await shell.run(`podman logs ${container}`, 120_000);
    if (line.test(output)) return;
    if (Date.now() > until) {
      const { output: journal } = await shell.run('journalctl -b -o cat -n 60', 120_000);
      throw new Error(`${container} did not say ${line}: ${output}\nThe journal:\n${journal}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

it('are started at the first power-on, from the images that are there', async () => {
  await using machine = await startMachine({ image: release.image, firmware: 'direct' });
  const shell = await shellOn(machine);
  await logged(shell, 'probe', UP);
  expect(await shell.must('systemctl show -p SourcePath --value probe.service')).toBe('/run/containers/systemd/probe.container'); // prettier-ignore
  const networks = "podman inspect --format '{{range $name, $one := .NetworkSettings.Networks}}{{$name}}{{end}}' probe";
  expect(await shell.must(networks)).toBe('systemd-probe');

  await logged(shell, 'cluster-pod-main', UP);
  expect(await shell.must('systemctl is-active boxship-cluster.service')).toBe('active');
  expect(await shell.must("podman pod ps --format '{{.Name}} {{.Status}}'")).toBe('cluster-pod Running');

  const volumes = "podman volume ls --format '{{.Name}}' | sort | tr '\\n' ' '";
  expect(await shell.must(volumes)).toBe('cluster-data systemd-probe ');
  expect(await shell.must('cat /var/lib/containers/storage/volumes/cluster-data/_data/starts')).toBe('1.0');
  expect((await shell.run("journalctl -b -o cat | grep -i -E 'trying to pull|copying blob'")).output).toBe('');
  expect((await shell.run('systemctl --failed --no-legend')).output).toBe('');
  console.log(
    `apps in podman's own languages, boot and checks: ${machine.seconds().toFixed(0)} s (${machine.acceleration})`,
  );
});
