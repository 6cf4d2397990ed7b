// How far a run is, on stderr: a bar with the time left on a terminal, at most ten lines a phase anywhere else, so
// that logs stay short.

import cliProgress from 'cli-progress';
import { seconds } from './format.js';

export interface Progress {
  /** `done` of `total` steps of a phase; a new phase ends the one before. */
  step(phase: string, done: number, total: number): void;
  /** A line that stays. */
  say(line: string): void;
  end(): void;
}

export function openProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream);
}

class BarProgress implements Progress {
  #bar: cliProgress.SingleBar | undefined;
  #phase = '';

  constructor(private readonly stream: NodeJS.WriteStream) {}

  step(phase: string, done: number, total: number): void {
    if (this.#bar === undefined || phase !== this.#phase) {
      this.end();
      this.#phase = phase;
      this.#bar = new cliProgress.SingleBar({
        stream: this.stream,
        format: '{phase} {bar} {percentage} % | {eta_formatted} left',
        hideCursor: true,
        barsize: 30,
        barCompleteChar: '█',
        barIncompleteChar: '░',
      });
      this.#bar.start(total, done, { phase });
    } else {
      this.#bar.update(done);
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
  #phase = '';
  #startedAt = 0;
  #told = 0;

  constructor(private readonly stream: NodeJS.WriteStream) {}

  step(phase: string, done: number, total: number): void {
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#startedAt = performance.now();
      this.#told = 0;
    }
    const tenth = Math.floor((done / total) * linesPerPhase);
    if (tenth <= this.#told) return;
    this.#told = tenth;
    const elapsed = (performance.now() - this.#startedAt) / 1000;
    const left = done < total ? `, ${seconds((elapsed / done) * (total - done))} left` : '';
    this.say(`${phase}: ${Math.floor((done / total) * 100)} %${left}`);
  }

  say(line: string): void {
    this.stream.write(`${line}\n`);
  }

  end(): void {
    this.#phase = '';
  }
}
