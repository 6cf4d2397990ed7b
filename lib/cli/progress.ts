// How far a run is, on stderr: a bar with the time left on a terminal, at most ten lines a phase anywhere else, so
// that logs stay short.

import cliProgress from 'cli-progress';
import { seconds } from '../number-formats.js';

export interface Progress {
  /** `done` of `total` steps of a phase; a new phase ends the one before. */
  step(phase: string, done: number, total: number): void;
  /** A line that stays. */
  say(line: string): void;
  end(): void;
}

/** What `body` makes of a progress that ends with it. */
export async function withProgress<T>(body: (progress: Progress) => Promise<T>): Promise<T> {
  const progress = openProgress(process.stderr);
  try {
    return await body(progress);
  } finally {
    progress.end();
  }
}

function openProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream);
}

/** The pace of one phase. */
class Pace {
  readonly #startedAt = performance.now();

  constructor(readonly phase: string) {}

  /** ', 12.3 s left', or nothing where that cannot be said yet or any more. */
  left(done: number, total: number): string {
    if (done <= 0 || done >= total) return '';
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    return `, ${seconds((elapsed / done) * (total - done))} left`;
  }
}

class BarProgress implements Progress {
  #bar: cliProgress.SingleBar | undefined;
  #pace = new Pace('');

  constructor(private readonly stream: NodeJS.WriteStream) {}

  step(phase: string, done: number, total: number): void {
    if (this.#bar === undefined || phase !== this.#pace.phase) {
      this.end();
      this.#pace = new Pace(phase);
      this.#bar = new cliProgress.SingleBar({
        stream: this.stream,
        format: '{phase} {bar} {percentage} %{left}',
        hideCursor: true,
        barsize: 30,
        barCompleteChar: '█',
        barIncompleteChar: '░',
      });
      this.#bar.start(total, done, { phase, left: '' });
    } else {
      this.#bar.update(done, { left: this.#pace.left(done, total) });
    }
  }

  say(line: string): void {
    this.end();
    this.stream.write(`${line}\n`);
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** Lines of one phase at most. */
const linesPerPhase = 10;

class LineProgress implements Progress {
  #pace = new Pace('');
  #told = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  step(phase: string, done: number, total: number): void {
    if (phase !== this.#pace.phase) {
      this.#pace = new Pace(phase);
      this.#told = 0;
    }
    const tenth = Math.floor((done / total) * linesPerPhase);
    if (tenth <= this.#told) return;
    this.#told = tenth;
    this.say(`${phase}: ${Math.floor((done / total) * 100)} %${this.#pace.left(done, total)}`);
  }

  say(line: string): void {
    this.stream.write(`${line}\n`);
  }

  end(): void {
    this.#pace = new Pace('');
  }
}
