import type { DeviceFacts } from '@boxship/model';

/** Major and minor version of podman. */
export type PodmanVersion = readonly [major: number, minor: number];

/** The first podman with the generator (its RELEASE_NOTES.md). */
const FIRST: PodmanVersion = [4, 4];

export function isSince([major, minor]: PodmanVersion, [wantedMajor, wantedMinor]: PodmanVersion): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Why the device cannot start apps through Quadlet files, to complete "engine.start is quadlet, and …"; or its podman. */
export function quadletSupport(facts: DeviceFacts): { readonly version: PodmanVersion } | { readonly why: string } {
  const podman = facts.engines.find(({ name }) => name === 'podman');
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(podman?.version ?? '') ?? [];
  if (major === undefined || minor === undefined) return { why: 'the version of podman in the base image is not known' };
  const version: PodmanVersion = [Number(major), Number(minor)];
  if (!isSince(version, FIRST)) return { why: `podman ${podman!.version} of the base image knows no Quadlet files (4.4 and later do)` };
  if (version[0] === 5 && version[1] === 2) {
    // quadlet.go of 5.2: every container Wants network-online.target; DefaultDependencies came with 5.3
    return { why: `podman ${podman!.version} of the base image makes every container wait until the device is online` };
  }
  if (!podman!.quadlet) return { why: 'the base image lacks podman-system-generator, which reads Quadlet files' };
  return { version };
} // prettier-ignore
