// Makes a fresh clone ready: npm packages from the lock file and the Debian packages of debian-packages.json.
// Plain JavaScript without dependencies: it runs before there is a node_modules.
// `--npm-only`: the npm packages alone. Nothing to do means nothing is started.
import { installDebianPackages } from './debian-packages.mjs';
import { installNpmPackages } from './npm-packages.mjs';

try {
  installNpmPackages();
  if (!process.argv.includes('--npm-only')) installDebianPackages();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exit(1);
}
