// Where a run's time goes: wall seconds by phase.

import type { Seconds } from './events.js';

export type Phase = Exclude<keyof Seconds, 'total'>;

export class Clock {
  readonly #begin = performance.now();
  readonly #milliseconds = new Map<Phase, number>();

  /** Runs `body` and adds its time to a phase. */
  async measure<T>(phase: Phase, body: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    try {
      return await body();
    } finally {
      this.#milliseconds.set(
        phase,
        (this.#milliseconds.get(phase) ?? 0) + performance.now() - begin,
      );
    }
  }

  seconds(): Seconds {
    const of = (phase: Phase) => (this.#milliseconds.get(phase) ?? 0) / 1000;
    return {
      total: (performance.now() - this.#begin) / 1000,
      load: of('load'),
      calibrate: of('calibrate'),
      quantize: of('quantize'),
      compensate: of('compensate'),
      propagate: of('propagate'),
      write: of('write'),
    };
  }
}
