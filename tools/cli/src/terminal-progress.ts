import { formatByteSize } from '@boxship/model';
import type { Progress, ProgressStep } from '@boxship/host';

/** Where progress goes: standard error, so that standard output stays clean for `--json`. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MILLISECONDS = 100;

/** Bars with rate and time left on a terminal; plain lines, one at the start and one at the end of a step, elsewhere. */
export function terminalProgress(output: ProgressOutput, { quiet = false } = {}): Progress {
  const bars: Bar[] = [];
  const terminal = output.isTTY === true && !quiet;
  let drawn = 0;
  let lastDraw = 0;

  const clear = () => {
    if (drawn > 0) output.write(`\u001b[${drawn}A\u001b[J`);
    drawn = 0;
  };
  const draw = () => {
    clear();
    for (const bar of bars) output.write(`${bar.line(output.columns ?? 80)}\n`);
    drawn = bars.length;
    lastDraw = Date.now();
  };
  const line = (text: string) => {
    clear();
    output.write(`${text}\n`);
    if (terminal) draw();
  };

  return {
    start(label, total) {
      if (quiet) return { advance: () => {}, end: () => {} };
      const bar = createBar(label, total);
      if (terminal) {
        bars.push(bar);
        draw();
      } else if (total !== undefined && total > 0) line(`${label} (${formatByteSize(total)}) ...`);
      return {
        advance(bytes) {
          bar.advance(bytes);
          if (terminal && Date.now() - lastDraw > REDRAW_MILLISECONDS) draw();
        },
        end() {
          const index = bars.indexOf(bar);
          if (index >= 0) bars.splice(index, 1);
          line(bar.summary());
        },
      } satisfies ProgressStep;
    },
    note: (message) => {
      if (!quiet) line(message);
    },
    warn: (message) => line(`warning: ${message}`),
  };
}

interface Bar {
  advance(bytes: number): void;
  line(columns: number): string;
  summary(): string;
}

function createBar(label: string, total: number | undefined): Bar {
  const began = Date.now();
  let done = 0;
  const seconds = () => Math.max(0.001, (Date.now() - began) / 1000);
  const rate = () => `${formatByteSize(Math.round(done / seconds()))}/s`;
  return {
    advance: (bytes) => {
      done += bytes;
    },
    line(columns) {
      if (total === undefined || total === 0)
        return `${label} ${done > 0 ? `${formatByteSize(done)} ${rate()}` : '...'}`;
      const share = Math.min(1, done / total);
      const left = done > 0 ? Math.ceil((seconds() * (total - done)) / done) : undefined;
      const facts = `${String(Math.floor(share * 100)).padStart(3)} % ${rate()}${left === undefined ? '' : `, ${left} s left`}`;
      const width = Math.max(8, Math.min(30, columns - label.length - facts.length - 6));
      const filled = Math.round(share * width);
      return `${label} [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${facts}`.slice(0, columns - 1);
    },
    summary() {
      const amount = done > 0 ? `${formatByteSize(done)} in ` : '';
      return `${label}: ${amount}${seconds().toFixed(1)} s`;
    },
  };
}
