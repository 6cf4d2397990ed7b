// Stages whose statistics do not fit in memory at once are observed in parts: as many as the plan tells, and to the same
// bytes.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { planMemory, type QuantizeOptions } from '../../lib/index.js';
import { cutPass } from '../../lib/pipeline/blocks/stages.js';
import { momentBytes, partsWithin } from '../../lib/pipeline/memory/moment-memory.js';
import { exampleText, temporaryFolder } from '../places.js';
import { randomExperts, run, withoutLast } from './random-experts.js';
import { randomOpt } from './random-opt.js';
import { filesOf, finish } from './runs.js';

describe('groups are cut', () => {
  const counts = { sums: 2, atWork: 3 };
  const parts = (widths: number[], bytes: number) =>
    partsWithin(widths, (width) => width, counts, bytes);

  it('where one more would not fit beside what is at work', () => {
    expect(momentBytes(counts, [2, 3])).toBe(4 * (2 * (4 + 9) + 3 * 9));
    const widths = [2, 2, 2, 3, 2];
    expect(parts(widths, momentBytes(counts, widths))).toEqual([widths]);
    expect(parts(widths, momentBytes(counts, widths) - 1)).toEqual([[2, 2, 2, 3], [2]]);
    expect(parts(widths, momentBytes(counts, [3]))).toEqual([[2, 2, 2], [3], [2]]);
  });

  it('into one each where nothing fits, and not where nothing is summed', () => {
    expect(parts([2, 2], -1)).toEqual([[2], [2]]);
    expect(partsWithin([2, 2], (width) => width, { sums: 0, atWork: 0 }, 0)).toEqual([[2, 2]]);
  });
});

it('a pass leaves out what its own stage makes, and experts of which nothing is observed', () => {
  const linear = (name: string, stage: string, expert: string) => ({
    ...{ name, inChannels: 1, outChannels: 1, bias: false, stage, expert },
  });
  const linears = ['a', 'b'].flatMap((expert) => [
    linear(`${expert}.up`, 'into', expert),
    linear(`${expert}.down`, 'out', expert),
  ]);
  const shape = { hiddenSize: 1, linears, blockTensors: [], slots: {} };
  const passed = (stage: string | undefined, leader: string) => {
    const { unread, experts } = cutPass(shape, stage, [[leader]]);
    return [[...unread.keys()], [...experts]];
  };
  expect(passed('out', 'a.down')).toEqual([['a.down', 'b.down'], ['a']]);
  expect(passed('into', 'b.up')).toEqual([['a.up', 'b.up'], ['b']]);
  expect(passed(undefined, 'a.down')).toEqual([[], ['a']]);
});

/** Called once in each pass that comes to a router, unless it goes to the end. */
const perPass = 'expertWeights';

describe('a run comes to the same in parts as at once', () => {
  afterEach(() => vi.restoreAllMocks());

  /** Bytes to spare that make fewer passes than none, and more than all that are wanted. */
  async function someBytes(model: string, given: QuantizeOptions): Promise<number> {
    const { heldBytes, passes: { most, fewest } = { most: 0, fewest: 0 } } = await planMemory(
      model,
      given,
    );
    for (let spareBytes = heldBytes; spareBytes >= 1; spareBytes = Math.floor(spareBytes / 1.2)) {
      const { passes } = await planMemory(model, { ...given, spareBytes });
      if (passes !== undefined && passes.fewest > fewest && passes.fewest < most) return spareBytes;
    }
    throw new Error('Two groups at most.');
  }

  /** With nothing to spare, some and all; and how often each called `counted`. */
  async function runs(
    model: string,
    options: Partial<QuantizeOptions>,
    counted: 'expertWeights' | 'matmul',
  ) {
    const given = { ...options, output: 'result', calibration: exampleText };
    const { heldBytes } = await planMemory(model, given);
    const made = [];
    for (const spareBytes of [0, await someBytes(model, given), heldBytes]) {
      const calls = vi.spyOn(Device.prototype, counted);
      const finished = await finish(model, { ...options, spareBytes });
      const { layers, outputs } = finished.report;
      made.push({
        results: { layers, outputs, files: await filesOf(finished) },
        calls: calls.mock.calls.length,
      });
      calls.mockRestore();
    }
    const [none, some, all] = made;
    expect(none?.results).toEqual(all?.results);
    expect(some?.results).toEqual(all?.results);
    return made.map(({ calls }) => calls);
  }

  it.each<[string, Partial<QuantizeOptions>]>([
    ['rtn', {}],
    ['gptq', {}],
    ['gptq on the float path', { propagate: 'float' }],
    ['descent towards the float path', { target: 'float' }],
    ['gptq without an order', { trueSequential: false, target: 'float' }],
    ['rtn, one path and no order', { trueSequential: false, propagate: 'float' }],
    ['rtn on quantized inputs', { activationBits: 8, activationRange: 'dynamic' }],
    ['gptq, an expert that no token reaches', { target: 'float' }],
    ['gptq on two devices', { device: ['cpu', 'cpu'], threads: 1, samples: 48 }],
  ])('%s', async (name, options) => {
    const [method = ''] = name.split(/ |,/);
    const model = await (name.includes('no token') ? withoutLast : randomExperts)();
    const [none, some = 0, all = 0] = await runs(model, { ...run, ...options, method }, perPass);
    expect(none).toBeGreaterThan(some);
    expect(some).toBeGreaterThan(all);
  });

  it('of a block without experts', async () => {
    const shape = { blocks: 2, hiddenSize: 64, mlpSize: 64 };
    const model = await randomOpt(await temporaryFolder(), shape);
    const options = { trueSequential: false, samples: 8, sequenceLength: 64 } as const;
    const [none, , all = 0] = await runs(model, { ...options, target: 'float' }, 'matmul');
    expect(none).toBeGreaterThan(all);
  });

  it('in as many passes as the plan tells', async () => {
    const model = await randomExperts();
    const options = { ...run, method: 'gptq' };
    const [least = 0, , all = 0] = await runs(model, options, perPass);
    const planned = { ...options, output: 'result', calibration: exampleText };
    const { passes } = await planMemory(model, planned);
    // All seven read 64 channels, and memory for one of them is enough for the six of which the last linears read 32; not for
    // the seventh with them, which reads 64.
    expect(passes).toEqual({ most: 7 + 2, fewest: 2 });
    // Two blocks, and 2048 tokens at most a mini-batch: one that is fitted, one that is held out.
    expect(least - all).toBe(2 * 2 * (7 + 2 - 2));
    expect(await planMemory(model, { ...planned, spareBytes: 0 })).toMatchObject({
      heldBytes: 0,
      passes: { most: 7 + 2, fewest: 7 + 2 },
    });
  });
});
