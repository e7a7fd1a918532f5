import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** A stage that has printed nothing for so long says that it still runs. */
const SILENCE = 30_000;

/** A stage that is one check: all `commands` (argument lists) succeed, one after the other. */
export const check = (name, ...commands) => ({
  name,
  async run() {
    for (const command of commands) {
      if ((await show(name, command)) !== 0) return { passed: 0, failed: 1, skipped: 0 };
    }
    return { passed: 1, failed: 0, skipped: 0 };
  },
});

/** A stage of vitest: each of its tests counts. */
export const vitest = (name, ...args) => ({
  name,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'boxship-test-'));
    try {
      const report = join(folder, 'report.json');
      const program = [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', ...args];
      const code = await show(name, [
        ...program,
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ]);
      return readCounts(report, code);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

/** A run that failed without a failed test (a file that does not load, an error outside a test) is one failure. */
function readCounts(report, code) {
  let counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, 'utf8'));
    counts = { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  } catch {
    // vitest did not come to its end: the exit code tells
  }
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Runs a program with what it prints shown as it comes; resolves with its exit code. */
function show(name, [program, ...args]) {
  return new Promise((resolve) => {
    const began = Date.now();
    const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
    const env = { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', ...colour };
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const heartbeat = setInterval(() => {
      console.log(`  … ${name}: ${Math.round((Date.now() - began) / 1000)} s`);
    }, SILENCE);
    for (const [stream, output] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream.on('data', (chunk) => {
        heartbeat.refresh();
        output.write(chunk);
      });
    }
    child.on('error', (error) => {
      clearInterval(heartbeat);
      console.error(error.message);
      resolve(1);
    });
    child.on('close', (code) => {
      clearInterval(heartbeat);
      resolve(code ?? 1);
    });
  });
}
