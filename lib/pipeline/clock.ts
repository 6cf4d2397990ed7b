// Where a run's time and memory go: wall seconds by phase, and the most memory that was resident as a phase ended.

import type { PhaseMemory, PhaseSeconds, Seconds } from './events.js';

type Phase = keyof PhaseSeconds;

export class Clock {
  readonly #begin = performance.now();
  readonly #milliseconds = new Map<Phase, number>();
  readonly #bytes = new Map<Phase, number>();

  /** Runs `body` and adds its time to a phase, which ends with it. */
  async measure<T>(phase: Phase, body: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    try {
      return await body();
    } finally {
      this.#took(phase, performance.now() - begin);
      this.#saw(phase, process.memoryUsage.rss());
    }
  }

  /** Adds what the slowest of several took that ran at the same time, and the most memory that any of them saw. */
  addSlowest(clocks: readonly Clock[]): void {
    const totalOf = (clock: Clock) => [...clock.#milliseconds.values()].reduce((a, b) => a + b, 0);
    const slowest = clocks.reduce((a, b) => (totalOf(b) > totalOf(a) ? b : a));
    for (const [phase, milliseconds] of slowest.#milliseconds) this.#took(phase, milliseconds);
    for (const [phase, bytes] of clocks.flatMap((clock) => [...clock.#bytes])) {
      this.#saw(phase, bytes);
    }
  }

  seconds(): Seconds {
    return { total: (performance.now() - this.#begin) / 1000, ...this.phases() };
  }

  /** What phases have taken, or have since they had taken `before`. */
  phases(before?: PhaseSeconds): PhaseSeconds {
    return ofEach((phase) => (this.#milliseconds.get(phase) ?? 0) / 1000 - (before?.[phase] ?? 0));
  }

  memoryBytes(): PhaseMemory {
    return ofEach((phase) => this.#bytes.get(phase) ?? 0);
  }

  #took(phase: Phase, milliseconds: number): void {
    this.#milliseconds.set(phase, (this.#milliseconds.get(phase) ?? 0) + milliseconds);
  }

  #saw(phase: Phase, bytes: number): void {
    this.#bytes.set(phase, Math.max(this.#bytes.get(phase) ?? 0, bytes));
  }
}

function ofEach(of: (phase: Phase) => number): PhaseSeconds & PhaseMemory {
  return {
    load: of('load'),
    calibrate: of('calibrate'),
    quantize: of('quantize'),
    compensate: of('compensate'),
    propagate: of('propagate'),
    write: of('write'),
  };
}
