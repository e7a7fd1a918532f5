import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit, type Node, type YAMLMap } from 'yaml';
import type { Location, PortMapping, Service } from '@boxship/model';
import { containerOf, type NativeParts, type NativeReader } from './native-app.ts';

/** Lists of containers in a pod (Kubernetes API, core/v1 PodSpec). */
const LISTS = ['containers', 'initContainers', 'ephemeralContainers'];

/** A file of Kubernetes objects; it is shipped as it is. `where` names it. */
export function readKubernetesFile(reader: NativeReader, path: string, where: Location): NativeParts {
  const { folder, report } = reader;
  const entry = folder.read(path);
  if (entry?.kind !== 'file') {
    report({ code: 'NOT_FOUND', message: `there is no file ${path} of Kubernetes objects`, hint: 'Name a YAML file beside it.', where }); // prettier-ignore
    return { files: [], services: [] };
  }
  const file = reader.shown(path);
  const counter = new LineCounter();
  const documents = parseAllDocuments(Buffer.from(entry.bytes).toString(), {
    lineCounter: counter,
    prettyErrors: false,
  });
  const services: Service[] = [];
  const place = (offset: number): Location => {
    const { line, col } = counter.linePos(offset);
    return { file, line, column: col };
  };
  const placeOf = (node: unknown): Location => place((node as Node | null)?.range?.[0] ?? 0);
  for (const document of 'empty' in documents ? [] : documents) {
    for (const error of document.errors) report({ code: 'BAD_YAML', message: error.message, hint: 'Look at the indentation and the quotes there.', where: place(error.pos[0]) }); // prettier-ignore
    visit(document, {
      Alias(_key, alias) {
        report({ code: 'BAD_YAML', message: `"*${alias.source}" is an alias, whose containers are not looked for`, hint: 'Write it out.', where: placeOf(alias) }); // prettier-ignore
      },
      Map(_key, map) {
        if (map.get('kind') === 'Secret' && (map.has('data') || map.has('stringData'))) {
          report({ code: 'SECRET_IN_IMAGE', message: 'a Secret in this file would be in the image, for whoever has it to read', hint: 'Make it on the device, and leave it out here.', where: placeOf(map.get('kind', true)) }); // prettier-ignore
        }
      },
      Pair(_key, { key, value }) {
        if (!isScalar(key) || !LISTS.includes(String(key.value)) || !isSeq(value)) return;
        for (const item of value.items) if (isMap(item) && item.has('image')) services.push(serviceOf(item, reader, placeOf)); // prettier-ignore
      },
    });
  }
  return { files: [{ path, mode: 0o644, bytes: entry.bytes }], services };
}

function serviceOf(container: YAMLMap, { image, report }: NativeReader, placeOf: (node: unknown) => Location): Service {
  const node = container.get('image', true);
  const where = placeOf(node);
  const written = String(container.get('image'));
  const policy = container.get('imagePullPolicy') as string | undefined;
  // without a word of it, the tag latest is asked for each time (Kubernetes, "Images")
  const isLatest = !written.includes('@') && (!/:[^/]*$/.test(written) || written.endsWith(':latest'));
  if (policy === undefined ? isLatest : !['Never', 'IfNotPresent'].includes(policy)) {
    report({ code: 'NOT_ON_DEVICE', message: `the container "${String(container.get('name'))}" asks a registry for its image each time it starts`, hint: 'Write imagePullPolicy: Never.', where: policy === undefined ? where : placeOf(container.get('imagePullPolicy', true)) }); // prettier-ignore
  }
  const ports = container.get('ports', true);
  return containerOf({
    name: String(container.get('name')),
    where,
    image: image(written, where),
    ...(ports ? { keyPlaces: { ports: placeOf(ports) } } : {}),
    ports: isSeq(ports) ? ports.items.flatMap((port) => (isMap(port) ? portOf(port) : [])) : [],
  });
}

function portOf(port: YAMLMap): readonly PortMapping[] {
  const published = port.get('hostPort');
  if (published === undefined) return [];
  const protocol = String(port.get('protocol') ?? 'TCP').toLowerCase() as PortMapping['protocol'];
  const hostIp = port.get('hostIP');
  return [{ ...(hostIp === undefined ? {} : { hostIp: String(hostIp) }), published: String(published), target: String(port.get('containerPort')), protocol }]; // prettier-ignore
}
