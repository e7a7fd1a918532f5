import { isIP } from 'node:net';
import type { Location, PortMapping } from '@boxship/model';
import type { Report } from './report.ts';
import { readInteger, readKnownKeys, readList, readScalarText, readText, readWord } from './scalar.ts';
import type { Value } from './yaml-value.ts';

const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
const HINT = 'Write [IP:][HOST:]CONTAINER[/udp], as in "8080:80" or "127.0.0.1:9000-9010:9000-9010/udp".';

/** `ports` of a service: short form, long form, ranges (compose-spec 05-services.md "ports"). */
export function readPorts(value: Value | undefined, report: Report): readonly PortMapping[] {
  return readList(value, report).flatMap((item) => {
    const port = item.kind === 'map' ? readLongForm(item, report) : readShortForm(item, report);
    return port ? [port] : [];
  });
}

function range(text: string): readonly [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!match) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
  return first <= last && last <= 65535 ? [first, last] : undefined;
}

function check(
  target: string,
  published: string | undefined,
  hostIp: string | undefined,
  where: Location,
  report: Report,
): boolean {
  const inside = range(target);
  const outside = published === undefined ? undefined : range(published);
  if (!inside || inside[0] === 0) {
    report.error('BAD_PORT', where, `"${target}" is not a port of a container`, HINT);
  } else if (published !== undefined && !outside) {
    report.error('BAD_PORT', where, `"${published}" is not a port of the device`, HINT);
  } else if (hostIp !== undefined && isIP(hostIp) === 0) {
    report.error('BAD_PORT', where, `"${hostIp}" is not an IP address`, HINT);
  } else if (outside && inside[1] > inside[0] && outside[1] - outside[0] !== inside[1] - inside[0]) {
    report.error(
      'BAD_PORT',
      where,
      `the ranges ${published} and ${target} differ in length`,
      'Make them equally long.',
    );
  } else return true;
  return false;
}

function readShortForm(item: Value, report: Report): PortMapping | undefined {
  const text = readScalarText(item, report);
  if (text === undefined) return undefined;
  const match = /^(?:(?:\[([^\]]*)\]|([^:/[\]]*)):)??(?:([^:/]*):)?([^:/]+)(?:\/([a-z]+))?$/.exec(text);
  const protocol = PROTOCOLS.find((name) => name === (match?.[5] ?? 'tcp'));
  if (!match || !protocol) {
    report.error('BAD_PORT', item.where, `"${text}" is not a port mapping`, HINT);
    return undefined;
  }
  const hostIp = match[1] ?? match[2];
  const published = match[3] || undefined;
  const target = match[4]!;
  if (!check(target, published, hostIp, item.where, report)) return undefined;
  return { ...(hostIp === undefined ? {} : { hostIp }), ...(published === undefined ? {} : { published }), target, protocol }; // prettier-ignore
}

function readLongForm(item: Value, report: Report): PortMapping | undefined {
  const keys = readKnownKeys(item, 'a port', ['target', 'published', 'host_ip', 'protocol', 'mode', 'name', 'app_protocol'], report); // prettier-ignore
  const get = (key: string) => keys.get(key)?.value;
  const number = readInteger(get('target'), report, { min: 1, max: 65535 });
  const published = readScalarText(get('published'), report) || undefined;
  const hostIp = readText(get('host_ip'), report) || undefined;
  const protocol = readWord(get('protocol'), PROTOCOLS, report) ?? 'tcp';
  readWord(get('mode'), ['host', 'ingress'], report); // the same on a single machine
  if (number === undefined) {
    if (!keys.has('target')) report.error('BAD_PORT', item.where, 'the port has no target', 'Add "target:".');
    return undefined;
  }
  const target = String(number);
  if (!check(target, published, hostIp, item.where, report)) return undefined;
  return { ...(hostIp === undefined ? {} : { hostIp }), ...(published === undefined ? {} : { published }), target, protocol }; // prettier-ignore
}

/** Ports of the device that two mappings of an app both claim, as text. */
export function findPortConflict(a: PortMapping, b: PortMapping): string | undefined {
  if (a.published === undefined || b.published === undefined || a.protocol !== b.protocol) return undefined;
  const everywhere = (ip: string | undefined) => ip === undefined || ip === '0.0.0.0' || ip === '::';
  if (a.hostIp !== b.hostIp && !everywhere(a.hostIp) && !everywhere(b.hostIp)) return undefined;
  const [first, second] = [range(a.published), range(b.published)];
  // of a range for one container port the engine takes a free one
  const fixed = (port: PortMapping, ports: readonly [number, number]) =>
    port.target.includes('-') || ports[0] === ports[1];
  if (!first || !second || !fixed(a, first) || !fixed(b, second) || first[0] === 0 || second[0] === 0) return undefined;
  const from = Math.max(first[0], second[0]);
  const to = Math.min(first[1], second[1]);
  return from > to ? undefined : `${from === to ? from : `${from}-${to}`}/${a.protocol}`;
}
