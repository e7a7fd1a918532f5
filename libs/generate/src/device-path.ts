/** Folders of a device and the variables that bitbake.conf and systemd's classes have for them, the longest first. */
const VARIABLES: readonly (readonly [folder: string, variable: string])[] = [
  ['/usr/lib/systemd/system', '${systemd_system_unitdir}'],
  ['/usr/lib', '${nonarch_libdir}'],
  ['/var', '${localstatedir}'],
  ['/etc', '${sysconfdir}'],
];

/** An absolute path on the device as a recipe writes it: `/etc/docker` is `${sysconfdir}/docker`. */
export function devicePath(path: string): string {
  for (const [folder, variable] of VARIABLES) {
    if (path === folder || path.startsWith(`${folder}/`)) return variable + path.slice(folder.length);
  }
  return path;
}
