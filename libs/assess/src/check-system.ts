import type { Check } from './assessment.ts';
import type { KnownFacts } from './known-facts.ts';

/** Since this version systemd mounts cgroup v2 unless it was built or told otherwise (systemd NEWS, 248 for most distributions). */
const SYSTEMD_WITH_CGROUP2 = 248;

/** What the base image brings of what the engine stands on: init, the engine itself, its helpers. */
export function checkSystem({ base, engine, distroFeatures }: KnownFacts): readonly Check[] {
  const checks: Check[] = [];
  const say = (standing: Check['standing'], finding: string, rest: Partial<Check> = {}) =>
    checks.push({ subject: 'system', standing, finding, ...rest });
  const features = `DISTRO_FEATURES must have ${distroFeatures.join(' ')} and systemd (boxship layer sets them)`;
  if (!base) {
    say('unknown', 'no base image was read', { advice: `In a Yocto build, ${features}.` });
    return checks;
  }
  const { facts } = base;
  const name = facts.osRelease['PRETTY_NAME'] ?? facts.osRelease['ID'] ?? 'a system without os-release';
  const isYocto =
    facts.osRelease['ID'] !== undefined &&
    /poky|nodistro|yocto|openembedded|torizon|tdx/i.test(JSON.stringify(facts.osRelease));
  if (facts.init !== 'systemd') {
    const advice = isYocto ? `${features}.` : 'Use a base image with systemd.';
    say('bad', `${name} does not start with systemd`, { advice, mendable: true });
  } else {
    say('good', `${name}, systemd${facts.systemdVersion === undefined ? '' : ` ${facts.systemdVersion}`}`);
    if (facts.systemdVersion !== undefined && facts.systemdVersion < SYSTEMD_WITH_CGROUP2) {
      say('caution', `systemd ${facts.systemdVersion} mounts cgroup v1 unless it is told otherwise; crun and limits want v2`, { advice: 'Add systemd.unified_cgroup_hierarchy=1 to the kernel command line.' }); // prettier-ignore
    }
  }
  const found = facts.engines.find((one) => one.name === engine);
  if (found) say('good', `${engine}${found.version === undefined ? '' : ` ${found.version}`} (${found.program})`);
  else {
    const advice = isYocto ? `Build it in: ${features}.` : 'Add its package to the base image.';
    say('caution', `the base image has no ${engine}`, { advice });
  }
  if (facts.ostree) {
    say('caution', 'an OSTree deployment, which compose does not edit', { advice: 'Build the base image with the generated layer.' }); // prettier-ignore
  }
  return checks;
}
