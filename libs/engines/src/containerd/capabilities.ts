/**
 * Capabilities of a container that asks for nothing (containerd pkg/oci/spec_unix.go `defaultUnixCaps`, the same as docker's
 * in moby oci/caps/defaults.go).
 */
const BY_DEFAULT = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETFCAP',
  'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL', 'CAP_AUDIT_WRITE',
]; // prettier-ignore

/** What `ctr run` is told so that the set is the one that Compose's `cap_add` and `cap_drop` make of the default. */
export function capabilityOptions(added: readonly string[], dropped: readonly string[]): readonly string[] {
  const add = added.map(fullName);
  const drop = dropped.map(fullName);
  // docker: "ALL" is dropped first, then single ones are added again
  const kept = drop.includes('CAP_ALL') ? [] : BY_DEFAULT.filter((name) => !drop.includes(name));
  const wanted = [...new Set([...kept, ...add.filter((name) => drop.includes('CAP_ALL') || !drop.includes(name))])];
  return [
    ...wanted.filter((name) => !BY_DEFAULT.includes(name)).map((name) => `--cap-add=${name}`),
    ...BY_DEFAULT.filter((name) => !wanted.includes(name)).map((name) => `--cap-drop=${name}`),
  ];
}

function fullName(name: string): string {
  const upper = name.toUpperCase();
  return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}
