import { UserError, type DeviceFacts, type Problem } from '@boxship/model';

/** Refuses a base that the socket cannot work on; all reasons at once. */
export function checkSocketNeeds(facts: DeviceFacts): void {
  const problems: Problem[] = [];
  const problem = (code: string, message: string, hint: string) => problems.push({ code, message, hint });
  if (facts.init !== 'systemd') {
    problem('INIT_UNSUPPORTED', 'the base image does not start with systemd', 'Use a base image with systemd.');
  }
  if (facts.ostree) {
    problem(
      'OSTREE_NOT_EDITED',
      'the base image is an OSTree deployment, which must not be edited',
      "Give the vendor's image for Toradex Easy Installer, or a base image built with the generated Yocto layer.",
    );
  }
  const missing = ['sh', 'openssl', 'sha256sum', 'dd', 'gzip', 'find', 'grep', 'sed'].filter(
    (name) => facts.programs[name] === undefined,
  );
  if (missing.length > 0) {
    problem(
      'DEVICE_PROGRAM_MISSING',
      `the base image lacks ${missing.join(', ')}: the device could not verify its store`,
      'Add the packages to the base image (Debian: openssl, coreutils, gzip; Yocto: openssl-bin, busybox).',
    );
  }
  if (problems.length > 0) throw new UserError(problems);
}

/** What would keep a part of the socket from working on the device: for the plan. Empty when all is well. */
export function socketWarnings(facts: DeviceFacts): Problem[] {
  if (facts.programs['systemd-growfs'] || facts.programs['resize2fs']) return [];
  return [
    {
      code: 'CANNOT_GROW',
      message: 'the base image has neither systemd-growfs nor resize2fs: the data partition will keep its size',
      hint: 'Add resize2fs (e2fsprogs) to the base image.',
    },
  ];
}
