import type { DeviceFacts } from '@boxship/model';

/** For tests: a merged, plain base. */
export const exampleFacts: DeviceFacts = {
  osRelease: { ID: 'debian' },
  init: 'systemd',
  systemdVersion: 252,
  unitDirectory: '/usr/lib/systemd/system',
  mergedUsr: true,
  selinux: false,
  apparmorParser: true,
  ostree: false,
  readOnlyRoot: false,
  mountPoints: ['/', '/boot/efi'],
  engines: [],
  programs: Object.fromEntries(
    ['sh', 'openssl', 'sha256sum', 'dd', 'gzip', 'find', 'grep', 'sed', 'resize2fs'].map((name) => [name, `/usr/bin/${name}`]),
  ),
}; // prettier-ignore

/** For tests: a P-256 public key, of no secret anywhere. */
export const examplePublicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
`;
