import type { AppFile, Location, PortMapping, Service } from '@boxship/model';
import { readKubernetesFile } from './kubernetes-file.ts';
import { containerOf, type NativeParts, type NativeReader } from './native-app.ts';

/** Files that podman's generator makes units of (podman-systemd.unit(5)); a device neither builds nor pulls. */
const KINDS = ['container', 'volume', 'network', 'pod', 'kube'];
const REFUSED: Readonly<Record<string, string>> = {
  build: 'builds an image on the device',
  image: 'pulls an image on the device',
};

interface Line {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly where: Location;
}

/** A folder of Quadlet files, with the drop-ins and other files that they name; they are shipped as they are. */
export function readQuadletFolder(reader: NativeReader, where: Location): NativeParts {
  const { folder, report } = reader;
  const top = folder.read('.');
  if (top?.kind !== 'directory') {
    report({ code: 'NOT_FOUND', message: 'there is no such folder of Quadlet files', hint: 'Name a folder with .container files.', where }); // prettier-ignore
    return { files: [], services: [] };
  }
  const files: AppFile[] = [];
  const visit = (path: string) => {
    const entry = folder.read(path);
    if (entry?.kind === 'directory') for (const name of entry.names) visit(path === '.' ? name : `${path}/${name}`);
    else if (entry?.kind === 'file') files.push({ path, mode: 0o644, bytes: entry.bytes });
    else report({ code: 'BAD_APP_FILE', message: `${path} ${entry?.reason ?? 'cannot be read'}`, hint: 'Take it out of the folder.', where: { file: reader.shown(path) } }); // prettier-ignore
  };
  visit('.');
  const services = files.flatMap((file) => servicesOf(file, files, reader));
  if (
    services.length > 0 &&
    !files.some(({ bytes }) => /^\s*(Wanted|Required|Upheld)By\s*=\s*\S/m.test(Buffer.from(bytes).toString()))
  ) {
    report({ code: 'NOT_STARTED', message: 'no Quadlet file of the app says when it is started', hint: 'Write [Install] and WantedBy=default.target into the one that starts the others.', where }); // prettier-ignore
  }
  return { files, services };
}

function servicesOf(file: AppFile, files: readonly AppFile[], reader: NativeReader): readonly Service[] {
  const { path } = file;
  const { report, shown } = reader;
  const [, base = '', kind = ''] = /^(.*)\.([a-z]+)$/.exec(path) ?? [];
  if (path.includes('/')) return [];
  if (Object.hasOwn(REFUSED, kind)) {
    report({ code: 'NOT_ON_DEVICE', message: `${path} ${REFUSED[kind]}`, hint: 'Name the finished image in the .container file.', where: { file: shown(path), line: 1, column: 1 } }); // prettier-ignore
  }
  if (!KINDS.includes(kind)) return [];
  // a drop-in counts after the file itself, in order of its name
  const dropIns = files.filter((one) => one.path.startsWith(`${path}.d/`) && one.path.endsWith('.conf'));
  const lines = [file, ...dropIns].flatMap((one) => linesOf(one, shown(one.path)));
  const last = (section: string, key: string) => lines.findLast((line) => line.section === section && line.key === key);
  for (const line of lines) {
    const isPull = line.key === 'Pull' && !/^(never|missing)$/.test(line.value);
    if (isPull || (/^(PodmanArgs|GlobalArgs)$/.test(line.key) && /--pull\b(?![= ](never|missing))/.test(line.value))) {
      report({ code: 'NOT_ON_DEVICE', message: `"${line.key}=${line.value}" asks a registry when the container starts`, hint: 'Write Pull=never, or leave it out.', where: line.where }); // prettier-ignore
    }
  }
  if (kind === 'kube') {
    const yaml = last('Kube', 'Yaml');
    if (!yaml) {
      report({ code: 'NO_YAML', message: `${path} names no Yaml= file`, hint: 'podman ignores it otherwise.', where: { file: shown(path), line: 1, column: 1 } }); // prettier-ignore
      return [];
    }
    return readKubernetesFile(reader, yaml.value, yaml.where).services;
  }
  if (kind !== 'container') return [];
  const image = last('Container', 'Image');
  if (!image) {
    report({ code: 'NO_IMAGE', message: `${path} names no Image=`, hint: 'Name an image; a Rootfs= is not shipped.', where: { file: shown(path), line: 1, column: 1 } }); // prettier-ignore
    return [];
  }
  if (/\.(build|image)$/.test(image.value)) {
    report({ code: 'NOT_ON_DEVICE', message: `"Image=${image.value}" is made on the device`, hint: 'Name the finished image.', where: image.where }); // prettier-ignore
    return [];
  }
  const named = last('Container', 'ContainerName');
  const published = lines.filter(({ section, key }) => section === 'Container' && key === 'PublishPort');
  return [
    containerOf({
      name: base,
      where: image.where,
      image: reader.image(image.value, image.where),
      containerName: named?.value ?? `systemd-${base}`,
      ports: published.flatMap(({ value }) => portOf(value)),
      keyPlaces: {
        ...(named ? { container_name: named.where } : {}),
        ...(published[0] ? { ports: published[0].where } : {}),
      },
    }),
  ];
}

/** `[[ip:]host:]container[/protocol]`; a port of the engine's own choice claims none. */
function portOf(text: string): readonly PortMapping[] {
  const [, ip, published, target, protocol = 'tcp'] = /^(?:(?:\[?([0-9a-fA-F.:]*?)\]?):)?(?:([0-9-]+):)([0-9-]+)(?:\/(tcp|udp|sctp))?$/.exec(text) ?? []; // prettier-ignore
  if (published === undefined || target === undefined) return [];
  return [{ ...(ip ? { hostIp: ip } : {}), published, target, protocol: protocol as PortMapping['protocol'] }];
}

/** Lines of a unit file: systemd.syntax(7). */
export function linesOf({ bytes }: AppFile, file: string): readonly Line[] {
  const found: Line[] = [];
  let section = '';
  const texts = Buffer.from(bytes).toString().split('\n');
  for (let at = 0; at < texts.length; at += 1) {
    const line = at + 1;
    let text = texts[at]!;
    while (text.endsWith('\\') && at + 1 < texts.length && !/^\s*[#;]/.test(text)) text = `${text.slice(0, -1)} ${texts[(at += 1)]!}`; // prettier-ignore
    if (/^\s*([#;]|$)/.test(text)) continue;
    section = /^\s*\[(.*)\]\s*$/.exec(text)?.[1] ?? section;
    const [, indent, key, value] = /^(\s*)([A-Za-z0-9-]+)\s*=\s*(.*?)\s*$/.exec(text) ?? [];
    if (key !== undefined) found.push({ section, key, value: value!, where: { file, line, column: indent!.length + 1 } }); // prettier-ignore
  }
  return found;
}
