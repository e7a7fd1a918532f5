/** What a long step tells its caller; the program decides how to show it. */
export interface Progress {
  /** A step begins; `total` in bytes when it is known. */
  start(label: string, total?: number): ProgressStep;
  /** A line for people that is not an error. */
  note(message: string): void;
  /** Something the user should look at. */
  warn(message: string): void;
}

export interface ProgressStep {
  /** `bytes` more are done. */
  advance(bytes: number): void;
  end(): void;
}

/** Shows nothing. */
export const silent: Progress = {
  start: () => ({ advance: () => {}, end: () => {} }),
  note: () => {},
  warn: () => {},
};
