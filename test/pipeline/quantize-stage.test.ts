// Linears of a stage dealt to devices: by what they cost, and with the result that the first device alone would give.

import { describe, expect, it, vi } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { type QuantizeOptions, quantize } from '../../lib/index.js';
import { placesOf } from '../../lib/pipeline/blocks/quantize-stage.js';
import type { Run } from '../../lib/pipeline/run.js';
import { exampleText, temporaryFolder } from '../places.js';
import { randomOpt } from './random-opt.js';
import { type Finished, filesOf } from './runs.js';

describe('linears are dealt', () => {
  const [one, two, other] = ['cuda:0', 'cuda:1', 'cpu'].map((name) => ({ name }) as Device);
  const linear = (name: string, inChannels: number, outChannels: number) => ({
    ...{ name, inChannels, outChannels },
  });
  const attention = [linear('q', 8, 8), linear('k', 8, 2), linear('v', 8, 2)];
  const linears = [...attention, linear('o', 8, 8), linear('up', 8, 28), linear('down', 28, 8)];
  const groups = [['q', 'k', 'v'], ['o'], ['up'], ['down']];
  const places = (devices: unknown[], stage: string[][], rest: object = {}) => {
    const quantizer = { needsMoment: true };
    const run = { device: devices[0], devices, model: { linears }, quantizer, ...rest };
    const found = placesOf({ run: run as unknown as Run, index: 0, groups: stage });
    return stage.flat().map((name) => found.get(name)?.name);
  };

  it('to the device that will have done them first', () => {
    expect(places([one, two], [['q', 'k', 'v']])).toEqual(['cuda:0', 'cuda:1', 'cuda:1']);
    // Groups keep together where a factorisation of their own costs more than waiting.
    expect(places([one, two], groups)).toEqual([
      ...['cuda:0', 'cuda:1', 'cuda:1'],
      ...['cuda:1', 'cuda:0', 'cuda:1'],
    ]);
    expect(places([one], groups)).toEqual(Array(6).fill('cuda:0'));
  });

  it('to devices of one kind, and not where weights are there already', () => {
    expect(places([one, other], groups)).toEqual(Array(6).fill('cuda:0'));
    expect(places([one, two], groups, { prepared: {} })).toEqual(Array(6).fill('cuda:0'));
  });
});

describe('two devices quantize what the first would', () => {
  async function run(options: Partial<QuantizeOptions>, alone: boolean): Promise<Finished> {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, { blocks: 2, hiddenSize: 64, mlpSize: 128 });
    const open = vi.spyOn(Device, 'open');
    const made = vi.spyOn(Device.prototype, 'dequantize');
    const given = { samples: 24, sequenceLength: 256, bits: 3, threads: 1, ...options };
    const files = { calibration: exampleText, output: `${folder}/result`, device: ['cpu', 'cpu'] };
    try {
      for await (const event of quantize(model, { ...given, ...files })) {
        const second = open.mock.results[1]?.value as Device;
        // A device of another kind calibrates, and quantizes nothing.
        if (alone) Object.defineProperty(second, 'name', { value: 'another' });
        if (event.type !== 'done') continue;
        const { report } = event;
        expect(new Set(made.mock.contexts).size).toBe(alone ? 1 : 2);
        return { directory: files.output, report };
      }
      throw new Error('The run ended without a report.');
    } finally {
      vi.restoreAllMocks();
    }
  }

  it.each<[string, Partial<QuantizeOptions>]>([
    ['descent, group by group', { method: 'descent' }],
    ['act-order, the float path', { method: 'gptq', actOrder: true, propagate: 'float' }],
    ['one stage, drift', { method: 'rtn', clip: 'mse', target: 'float', trueSequential: false }],
    [
      'searched scales, biases per position',
      { method: 'rtn', weightSearch: 'cosine', clip: 'none', compensation: 'position' },
    ],
  ])('%s', async (_, options) => {
    const alone = await run(options, true);
    const both = await run(options, false);
    expect(both.report.layers).toEqual(alone.report.layers);
    expect(await filesOf(both)).toEqual(await filesOf(alone));
  });
});
