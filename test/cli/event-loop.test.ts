// The event loop turns while a quantization works. Ticks of a 10 ms timer and the run's events go into one log, and
// the test reads only their order and number: wall time says nothing on a busy machine.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { quantize } from '../../lib/index.js';
import { exampleCalibrationText, exampleModel, temporaryFolder } from '../places.js';

const options = {
  calibration: exampleCalibrationText,
  samples: 64,
  sampling: 'sequential',
  sequenceLength: 512,
  bits: 3,
  // So that a block takes many ticks on any machine.
  threads: 1,
} as const;

describe('a quantization', () => {
  it('lets a 10 ms timer tick within every block', async () => {
    const output = join(await temporaryFolder(), 'result');
    const log: string[] = [];
    const timer = setInterval(() => log.push('tick'), 10);
    try {
      for await (const { type } of quantize(exampleModel, { ...options, output })) log.push(type);
    } finally {
      clearInterval(timer);
    }
    // 1. Events come in the order of the work: a block's layers, then the block.
    const events = log.filter((entry) => entry !== 'tick');
    const block = [...Array.from({ length: 6 }, () => 'layer'), 'block'];
    expect(events).toEqual([
      'start',
      'calibration',
      ...block,
      ...block,
      ...block,
      ...block,
      'done',
    ]);
    // 2. Between two stages of the work the timer has run: tokenizing, and each of four blocks.
    const stages = log
      .join(' ')
      .split(/calibration|block/)
      .slice(0, 5);
    const ticks = stages.map((stage) => stage.split('tick').length - 1);
    expect(ticks.every((count) => count >= 1)).toBe(true);
    // 3. A block is many waits, not one long call between two of them: at least as many ticks as linears.
    expect(Math.max(...ticks.slice(1))).toBeGreaterThanOrEqual(6);
  });

  it('stops at an abort signal and leaves nothing', async () => {
    const folder = await temporaryFolder();
    const controller = new AbortController();
    const { signal } = controller;
    const events = quantize(exampleModel, { ...options, output: join(folder, 'result'), signal });
    const seen: string[] = [];
    const run = async () => {
      for await (const { type } of events) {
        seen.push(type);
        // In the middle of the second block's work, not between two steps of the caller.
        if (type === 'block') setTimeout(() => controller.abort(), 1);
      }
    };
    await expect(run()).rejects.toMatchObject({ name: 'BallastError', code: 'ERR_ABORTED' });
    expect(seen).toContain('block');
    expect(seen).not.toContain('done');
    expect(await readdir(folder)).toEqual([]);
  });

  it('left early by its caller leaves nothing', async () => {
    const folder = await temporaryFolder();
    for await (const { type } of quantize(exampleModel, {
      ...options,
      output: join(folder, 'result'),
    })) {
      if (type === 'block') break;
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('with a signal that has fired before does not begin', async () => {
    const output = join(await temporaryFolder(), 'result');
    const events = quantize(exampleModel, { ...options, output, signal: AbortSignal.abort() });
    await expect(events.next()).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});
