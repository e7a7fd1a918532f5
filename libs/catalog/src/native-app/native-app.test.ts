import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { App, AppLanguage, UserError } from '@boxship/model';
import { readNativeApp } from './native-app.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boxship-native-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(language: AppLanguage, path: string, files: Readonly<Record<string, string>>): Promise<App> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return readNativeApp(join(folder, 'boxship.yaml'), 'app', language, path, { file: 'boxship.yaml', line: 5, column: 3 });
} // prettier-ignore

/** `file:line:column code` of every problem, by name of the file alone. */
async function problemsOf(...given: Parameters<typeof read>): Promise<readonly string[]> {
  const error = await read(...given).then(() => undefined, (thrown: UserError) => thrown); // prettier-ignore
  return (error?.problems ?? []).map(({ code, where }) => `${where!.file.replace(/^.*\//, '')}:${where!.line}:${where!.column} ${code}`); // prettier-ignore
}

const INSTALL = '[Install]\nWantedBy=default.target\n';

describe('Quadlet files', () => {
  it('are taken as they are, with what lies beside them; images, names and ports are known', async () => {
    const app = await read('quadlet', './units', {
      'units/web.container': `[Container]\nImage=registry.example.com/web:1\nPublishPort=127.0.0.1:8080:80\nPublishPort=[::1]:53:53/udp\nPublishPort=99\n${INSTALL}`,
      'units/web.container.d/10.conf': '[Container]\n# Image=no\nImage=registry.example.com/web:2\nContainerName=front\n',
      'units/db.container': '[Container]\nImage = \\\n  registry.example.com/db:1\n',
      'units/data.volume': '[Volume]\n',
      'units/web.env': 'A=b\n',
    });
    expect(app.services.map(({ name, image, containerName, ports }) => [name, image, containerName, ports])).toEqual([
      ['db', 'registry.example.com/db:1', 'systemd-db', []],
      ['web', 'registry.example.com/web:2', 'front', [{ hostIp: '127.0.0.1', published: '8080', target: '80', protocol: 'tcp' }, { hostIp: '::1', published: '53', target: '53', protocol: 'udp' }]],
    ]);
    expect(app.native!.files.map(({ path }) => path)).toEqual(['data.volume', 'db.container', 'web.container', 'web.container.d/10.conf', 'web.env']);
  }); // prettier-ignore

  it('that cannot work on the device are refused, all at once, each at its line', async () => {
    const found = await problemsOf('quadlet', 'units', {
      'units/a.container': '[Unit]\nDescription=x\n[Container]\n  Image=busybox\nPull=newer\n',
      'units/b.build': '[Build]\nImageTag=x\n',
      'units/c.container': '[Container]\nImage=b.build\n',
      'units/d.container': '[Container]\nRootfs=/srv\n',
      'units/e.image': '[Image]\nImage=x\n',
      'units/f.container': '[Container]\nImage=docker.io/acme/f:1\nPodmanArgs=--pull=always\n',
      'units/g.kube': '[Kube]\nYaml=none.yaml\n',
      'units/h.container': '[Container]\nImage=docker.io/acme/UPPER\n',
    });
    expect(found).toEqual([
      'a.container:5:1 NOT_ON_DEVICE',
      'a.container:4:3 SHORT_IMAGE_NAME',
      'b.build:1:1 NOT_ON_DEVICE',
      'c.container:2:1 NOT_ON_DEVICE',
      'd.container:1:1 NO_IMAGE',
      'e.image:1:1 NOT_ON_DEVICE',
      'f.container:3:1 NOT_ON_DEVICE',
      'g.kube:2:1 NOT_FOUND',
      'h.container:2:1 BAD_REFERENCE',
      'boxship.yaml:5:3 NOT_STARTED',
    ]);
    expect(await problemsOf('quadlet', 'nowhere', {})).toEqual(['boxship.yaml:5:3 NOT_FOUND']);
    await mkdir(join(folder, 'empty'));
    expect(await problemsOf('quadlet', 'empty', {})).toEqual(['boxship.yaml:5:3 NO_CONTAINER']);
  });
});

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - name: c\n      image: ';

describe('Kubernetes objects', () => {
  it('are taken as they are; images of every pod in them are known, and ports of the device', async () => {
    const app = await read('kubernetes', 'k8s.yaml', {
      'k8s.yaml': `${POD}registry.example.com/a:1\n      ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }]\n---\nkind: List\nitems:\n  - kind: Deployment\n    spec: { template: { spec: { initContainers: [{ name: i, image: "registry.example.com/i:latest", imagePullPolicy: Never }], containers: [] } } }\n`,
    });
    expect(app.services.map(({ name, image, ports }) => [name, image, ports.map(({ published }) => published)])).toEqual([
      ['c', 'registry.example.com/a:1', ['8080']],
      ['i', 'registry.example.com/i:latest', []],
    ]);
  }); // prettier-ignore

  it('that would pull, or bring a secret along, are refused at their place', async () => {
    const text = `${POD}nginx\n---\nkind: Secret\ndata: { a: eA== }\n---\n${POD}docker.io/acme/a:1\n      imagePullPolicy: Always\n---\n${POD}docker.io/acme/b:latest\n---\nx: *a\n---\na: b: c\n`;
    expect((await problemsOf('kubernetes', 'k.yaml', { 'k.yaml': text })).toSorted()).toEqual([
      'k.yaml:19:24 NOT_ON_DEVICE',
      'k.yaml:27:14 NOT_ON_DEVICE',
      'k.yaml:29:4 BAD_YAML',
      'k.yaml:31:4 BAD_YAML',
      'k.yaml:7:14 NOT_ON_DEVICE',
      'k.yaml:7:14 SHORT_IMAGE_NAME',
      'k.yaml:9:7 SECRET_IN_IMAGE',
    ]);
  });
});
