import { styleText } from 'node:util';
import { formatByteSize } from '@boxship/model';
import type { Progress, ProgressStep } from '@boxship/host';

/** Where progress goes: standard error, so that standard output stays clean for `--json`. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Nothing is shown, warnings neither. */
  readonly quiet?: boolean;
  readonly color?: boolean;
}

const REDRAW_MILLISECONDS = 100;
/** Steps that were not announced and end sooner leave no line behind: many small layers would flood the screen. */
const WORTH_A_LINE_MILLISECONDS = 500;

/**
 * Bars with rate and time left on a terminal. Elsewhere (CI logs, files) plain lines: one when a long step begins and one
 * when it ends, never a control character.
 */
export function terminalProgress(
  output: ProgressOutput,
  { quiet = false, color = false }: ProgressOptions = {},
): Progress {
  if (quiet) return { start: () => ({ advance: () => {}, end: () => {} }), note: () => {}, warn: () => {} };
  const bars: Bar[] = [];
  const terminal = output.isTTY === true;
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
      const bar = createBar(label, total);
      const announced = !terminal && total !== undefined && total > 0;
      let ended = false;
      if (terminal) {
        bars.push(bar);
        draw();
      } else if (announced) line(`${label} (${formatByteSize(total)}) ...`);
      return {
        advance(bytes) {
          bar.advance(bytes);
          if (terminal && Date.now() - lastDraw > REDRAW_MILLISECONDS) draw();
        },
        end() {
          if (ended) return; // `finally` and the happy way may both say it
          ended = true;
          const index = bars.indexOf(bar);
          if (index >= 0) bars.splice(index, 1);
          if (announced || bar.milliseconds() >= WORTH_A_LINE_MILLISECONDS) line(bar.summary());
          else if (terminal) draw();
        },
      } satisfies ProgressStep;
    },
    note: line,
    warn: (message) => line(`${color ? styleText('yellow', 'warning:') : 'warning:'} ${message}`),
  };
}

interface Bar {
  advance(bytes: number): void;
  line(columns: number): string;
  summary(): string;
  milliseconds(): number;
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
      if (total === undefined || total === 0) {
        return `${label} ${done > 0 ? `${formatByteSize(done)} ${rate()}` : '...'}`.slice(0, columns - 1);
      }
      const share = Math.min(1, done / total);
      const left = done > 0 && seconds() >= 1 ? Math.max(0, Math.ceil((seconds() * (total - done)) / done)) : undefined;
      const facts = `${String(Math.floor(share * 100)).padStart(3)} % ${rate()}${left === undefined ? '' : `, ${formatSeconds(left)} left`}`;
      const name = shorten(label, Math.max(12, columns - facts.length - 14));
      const width = Math.max(8, Math.min(30, columns - name.length - facts.length - 6));
      const filled = Math.round(share * width);
      return `${name} [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${facts}`.slice(0, columns - 1);
    },
    summary() {
      const amount = done > 0 ? `${formatByteSize(done)} in ${seconds().toFixed(1)} s, ${rate()}` : `${seconds().toFixed(1)} s`; // prettier-ignore
      return `${label}: ${amount}`;
    },
    milliseconds: () => Date.now() - began,
  };
}

/** `45 s`, `3 min 20 s`, `1 h 5 min`. */
function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Cut in the middle: paths tell most at their ends. */
function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const head = Math.ceil((length - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}
