import type { UserError } from '@boxship/model';

/** What `boxship` ends with; scripts may rely on it. */
export const exitCodes = {
  ok: 0,
  userError: 1,
  usage: 2,
  verificationFailed: 3,
  doesNotFit: 4,
  notHere: 5,
  defect: 70,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The table of `boxship --help`, of the README and of docs/guide-build-server.md. */
export const exitCodeTable: readonly (readonly [ExitCode, string])[] = [
  [exitCodes.ok, 'done'],
  [exitCodes.userError, 'an input is wrong or missing: the message says which and what to do'],
  [exitCodes.usage, 'the command line is wrong'],
  [exitCodes.verificationFailed, 'verify, inspect --key: something is not what the key signed'],
  [exitCodes.doesNotFit, 'the bundle does not fit the store or the disk; nothing was written'],
  [exitCodes.notHere, 'assess: containers do not belong on this device, or not on this base image'],
  [exitCodes.defect, 'a defect of Boxship'],
  [exitCodes.interrupted, 'interrupted (Ctrl-C, SIGTERM); nothing that looks whole was left'],
];

/** Problems that mean "too big" rather than "wrong". */
const DOES_NOT_FIT = new Set(['STORE_FULL', 'DISK_FULL', 'DEVICE_TOO_SMALL', 'STORAGE_TOO_SMALL']);

/** The exit code of a user's error. */
export function exitCodeOf(error: UserError): ExitCode {
  return error.problems.some(({ code }) => DOES_NOT_FIT.has(code)) ? exitCodes.doesNotFit : exitCodes.userError;
}
