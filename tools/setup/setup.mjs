// Makes a fresh clone ready: npm packages from the lock file and the Debian packages of debian-packages.json.
// Plain JavaScript without dependencies: it runs before there is a node_modules.
// `--npm-only`: the npm packages alone; `--tests`: programs of other Debian suites too, unpacked into the test cache;
// `--yocto`: the npm packages and, where layers are there or asked for, what bitbake needs.
// Nothing to do means nothing is started.
import { installDebianPackages, otherSuites } from './debian-packages.mjs';
import { fetchDebianPackage } from './debian-tools.mjs';
import { installNpmPackages } from './npm-packages.mjs';
import { prepareForBitbake } from './bitbake-host.mjs';

try {
  installNpmPackages();
  if (process.argv.includes('--yocto')) prepareForBitbake();
  else if (!process.argv.includes('--npm-only')) installDebianPackages();
  if (process.argv.includes('--tests')) {
    for (const { name, suite, dependencies = false } of otherSuites()) {
      const { version, fetched } = await fetchDebianPackage({ suite, package: name, dependencies });
      if (fetched) console.log(`setup: ${name} ${version} of ${suite}`);
    }
  }
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exit(1);
}
