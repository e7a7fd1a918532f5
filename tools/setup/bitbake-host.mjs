import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { installDebianPackages, yoctoPackages } from './debian-packages.mjs';
import { testCacheRoot } from './debian-tools.mjs';

/**
 * Everything of `npm run test:yocto` lies below one folder: `$BOXSHIP_YOCTO_FOLDER`, else a folder of the test cache. bitbake
 * refuses root and builds as `$BOXSHIP_YOCTO_USER` (default `builder`) then, who cannot enter root's home: hence /var/tmp.
 */
export function yoctoFolder(env = process.env) {
  const fallback = process.getuid?.() === 0 ? '/var/tmp/boxship-yocto' : join(testCacheRoot(), 'yocto');
  return resolve(env.BOXSHIP_YOCTO_FOLDER || fallback);
}

/** The user who runs bitbake when we are root; undefined: we ourselves. */
export function bitbakeUser(env = process.env) {
  return process.getuid?.() === 0 ? env.BOXSHIP_YOCTO_USER || 'builder' : undefined;
}

/** Whether bitbake's locale is there. */
export function hasBitbakeLocale() {
  return /^en_US\.utf-?8$/im.test(spawnSync('locale', ['-a'], { encoding: 'utf8' }).stdout ?? '');
}

/** Whether this machine knows a user. */
export function hasUser(name) {
  return spawnSync('id', ['-u', name], { stdio: 'ignore' }).status === 0;
}

/**
 * Makes a machine ready for bitbake, where its layers are there or asked for, and nothing elsewhere: Debian packages, the
 * locale en_US.UTF-8 and, as root, the user who builds. Without root it throws an error with the line to run.
 */
export function prepareForBitbake(env = process.env) {
  if (!existsSync(yoctoFolder(env)) && !env.BOXSHIP_YOCTO_FETCH && !env.BOXSHIP_YOCTO_MIRRORS) return;
  installDebianPackages(yoctoPackages());
  if (!hasBitbakeLocale()) runAsRoot(['localedef', '-i', 'en_US', '-f', 'UTF-8', 'en_US.UTF-8']);
  const user = bitbakeUser(env);
  if (user !== undefined && !hasUser(user)) runAsRoot(['useradd', '--create-home', user]);
}

function runAsRoot(command) {
  const line = command.join(' ');
  if (process.getuid() !== 0) throw new Error(`bitbake needs this once, then try again:\n\n  sudo ${line}\n`);
  console.log(`setup: ${line}`);
  const { status, error } = spawnSync(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${line} ended with exit code ${status}`);
}
