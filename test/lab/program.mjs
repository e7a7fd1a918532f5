// Starts programs for the fixtures and the lab. (The product starts its programs through @boxship/host; this file also
// serves `npm run demo`, which runs as plain JavaScript before anything is built.)
import { spawn } from 'node:child_process';

/** sbin is where Debian keeps mke2fs; an ordinary user's PATH lacks it. */
export const PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`;

/** What a program printed on stdout; an error with the end of its words when it fails. */
export function run(program, args, { cwd, env = {}, input, accept = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout = [];
    let words = '';
    child.stdout.on('data', (chunk) => stdout.push(chunk));
    child.stderr.on('data', (chunk) => (words = (words + chunk).slice(-8192)));
    child.on('error', (error) =>
      reject(error.code === 'ENOENT' ? new Error(`${program} is not installed: run \`npm run setup\``) : error),
    );
    child.on('close', (code, signal) => {
      const output = Buffer.concat(stdout);
      if (accept.includes(code)) return resolve(output);
      const end = `${output.subarray(-2048)}\n${words}`.trim().split('\n').slice(-15).join('\n');
      reject(new Error(`${program} ${args.join(' ').slice(0, 300)} ended with ${signal ?? code}:\n${end}`));
    });
    if (input !== undefined) {
      child.stdin.on('error', () => {}); // EPIPE: the exit code tells
      child.stdin.end(input);
    }
  });
}

/**
 * `[program, args]` run as root of a user namespace in which this user's subordinate ids are the other users, or as they
 * are when we are root: files can then belong to anybody, without any privilege.
 */
export function asRoot(program, args) {
  if (process.getuid() === 0) return [program, args];
  return ['unshare', ['--map-root-user', '--map-auto', '--', program, ...args]];
}
