// The site 'block': with one more bias on a block's output its mean equals the float block's, and its error falls by
// that bias' energy; wherever the bias is folded, and whether it is one value a channel or one a position as well. The site
// 'matmul' is the mean of what the output projection reads, through its quantized weight.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { type QuantizeOptions, quantize } from '../../lib/index.js';
import { exampleText, temporaryFolder } from '../places.js';
import { compare, windowsOf } from './forward.js';
import { randomOpt } from './random-opt.js';
import { finish } from './runs.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [samples, sequenceLength] = [8, 64];

async function outputsOf(model: string, options: Partial<QuantizeOptions>) {
  const sampling = { samples, sequenceLength, sampling: 'sequential', heldOut: 0 } as const;
  const { directory } = await finish(model, { ...sampling, bits: 3, ...options });
  const windows = await windowsOf(model, exampleText, samples, sequenceLength);
  const paths = { inputs: 'quantized', target: 'quantized' } as const;
  const { outputs } = await compare(device, model, directory, windows, paths);
  return outputs;
}

describe.each([
  ['pre-norm: folds into the last linear', true],
  ['post-norm: folds into the norm', false],
])('%s', (_, preNorm) => {
  const shape = { blocks: 3, hiddenSize: 64, mlpSize: 128, preNorm };

  it.each(['rtn', 'gptq'])('removes the mean of every block’s output (%s)', async (method) => {
    const model = await randomOpt(await temporaryFolder(), shape);
    const linear = await outputsOf(model, { method, sites: ['linear'] });
    const both = await outputsOf(model, { method, sites: ['linear', 'block'] });
    const block = await outputsOf(model, { method, sites: ['block'] });
    for (const [index, { error, mean }] of both.entries()) {
      expect(mean / error, `block ${index}`).toBeLessThan(1e-7);
    }
    // The first block reads the same inputs in all three: what is removed there is the bias alone.
    const [before, after, alone] = [linear[0], both[0], block[0]];
    if (!before || !after || !alone) throw new Error('No blocks.');
    expect(after.error).toBeLessThan(before.error);
    expect(after.error / (before.error - before.mean)).toBeCloseTo(1, 4);
    expect(alone.mean / alone.error).toBeLessThan(1e-7);
  });

  it('one bias a position lowers the error further', async () => {
    const model = await randomOpt(await temporaryFolder(), shape);
    const options = { method: 'rtn', compensation: 'position' } as const;
    const linear = await outputsOf(model, { ...options, sites: ['linear'] });
    const both = await outputsOf(model, { ...options, sites: ['linear', 'block'] });
    const channel = await outputsOf(model, { method: 'rtn', sites: ['linear', 'block'] });
    const first = (outputs: typeof linear) => outputs[0]?.error ?? Number.NaN;
    expect(first(both)).toBeLessThan(first(linear));
    expect(first(both)).toBeLessThan(first(channel));
  });
});

describe('matmul', () => {
  const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, preNorm: true };
  const projection = 'model.decoder.layers.1.self_attn.out_proj';

  async function linearsOf(model: string, options: Partial<QuantizeOptions>) {
    const sampling = { samples, sequenceLength, sampling: 'sequential', heldOut: 0 } as const;
    const given = { method: 'rtn', bits: 3, ...sampling, ...options } as const;
    const { directory } = await finish(model, given);
    const windows = await windowsOf(model, exampleText, samples, sequenceLength);
    const paths = { inputs: 'quantized', target: 'float' } as const;
    const { linears } = await compare(device, model, directory, windows, paths);
    const found = linears.get(projection);
    if (found === undefined) throw new Error(`No ${projection}.`);
    return found;
  }

  it.each(['channel', 'position'] as const)('lowers the error, per %s', async (compensation) => {
    const model = await randomOpt(await temporaryFolder(), shape);
    const alone = await linearsOf(model, { compensation, sites: ['matmul'] });
    expect(alone.errorWithBias).toBeLessThan(0.99 * alone.error);
    const both = await linearsOf(model, { compensation, sites: ['matmul', 'linear'] });
    expect(both.errorWithBias).toBeLessThan(alone.errorWithBias);
    // With the linear itself it is what the site 'attention' is.
    const attention = await linearsOf(model, { compensation, sites: ['attention', 'linear'] });
    expect(both).toEqual(attention);
    expect(both.residualMean / both.error).toBeLessThan(1e-7);
  });
});

it('a bias that finds no slot is refused with the reason, and nothing is written', async () => {
  const model = new URL('../models/tiny/llama', import.meta.url).pathname;
  const folder = await temporaryFolder();
  const run = async () => {
    const options = { samples: 2, sequenceLength: 16, sites: ['block'] } as const;
    const output = join(folder, 'result');
    for await (const _ of quantize(model, { output, calibration: exampleText, ...options }));
  };
  await expect(run()).rejects.toMatchObject({ name: 'BallastError' });
});
