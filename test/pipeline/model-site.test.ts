// The site 'model': with a bias in the last norm the final hidden states have the float model's mean; where there is no
// such bias it is refused.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { runBlocks } from '../../lib/evaluate/index.js';
import {
  checkpointModel,
  disposeAll,
  loadWeights,
  miniBatches,
} from '../../lib/execution/index.js';
import { quantize, type RunReport } from '../../lib/index.js';
import { readModel } from '../../lib/models/index.js';
import { exampleText, temporaryFolder } from '../places.js';
import { windowsOf } from './forward.js';
import { randomOpt } from './random-opt.js';
import { finish } from './runs.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [samples, sequenceLength] = [8, 64];
const options = {
  method: 'rtn',
  bits: 3,
  samples,
  sequenceLength,
  sampling: 'sequential',
  heldOut: 0,
} as const;

/** E[h] over all tokens, h the rows that the head projects. */
async function finalMean(directory: string, windows: readonly Int32Array[]): Promise<number[]> {
  const checkpoint = await Checkpoint.open(directory);
  const model = readModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const context = { device, sequence: sequenceLength };
  const states = await runBlocks(
    checkpointModel(device, checkpoint, model),
    model,
    miniBatches(windows),
    context,
  );
  using head = await loadWeights(device, checkpoint, model.headTensors);
  const mean = new Array<number>(model.hiddenSize).fill(0);
  for (const x of states) {
    using final = device.scope(() => model.finalStates(x, head, context));
    (await final.readFloat32()).forEach((value, i) => {
      const channel = i % model.hiddenSize;
      mean[channel] = (mean[channel] ?? 0) + value / (windows.length * sequenceLength);
    });
  }
  disposeAll(states);
  return mean;
}

const distance = (a: readonly number[], b: readonly number[]) =>
  Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));

function reported({ outputs }: RunReport) {
  const [found] = outputs;
  if (found === undefined) throw new Error('No output was compensated.');
  return found;
}

it.each(['quantized', 'float'] as const)(
  'moves the mean to the float model’s (%s)',
  async (propagate) => {
    const shape = { blocks: 2, hiddenSize: 64, mlpSize: 128, preNorm: true };
    const model = await randomOpt(await temporaryFolder(), shape);
    const windows = await windowsOf(model, exampleText, samples, sequenceLength);
    const without = await finish(model, { ...options, propagate });
    const given = { ...options, propagate, sites: ['linear', 'model'] } as const;
    const { directory, report } = await finish(model, given);
    const float = await finalMean(model, windows);
    const before = distance(await finalMean(without.directory, windows), float);
    expect(distance(await finalMean(directory, windows), float)).toBeLessThan(1e-4 * before);
    const { name, error, errorWithBias, biasEnergy, outputEnergy } = reported(report);
    expect(name).toBe('model.decoder.final_layer_norm');
    expect(biasEnergy * outputEnergy).toBeCloseTo(before ** 2, 6);
    expect(errorWithBias).toBeCloseTo(error - biasEnergy, 9);
    expect(without.report.outputs).toEqual([]);
  },
);

it('held-out samples judge outputs as they judge linears', async () => {
  const edit = (name: string, values: Float32Array) => {
    if (name.endsWith('layer_norm.bias')) values.fill(0);
  };
  const shape = { blocks: 3, hiddenSize: 64, mlpSize: 128, preNorm: true, edit };
  const model = await randomOpt(await temporaryFolder(), shape);
  // A mean of one sample's positions is mostly chance.
  const given = { ...options, samples: 2, heldOut: 0.5, compensation: 'position' } as const;
  const blocks = await finish(model, { ...given, sites: ['block'] });
  const dropped = blocks.report.outputs.filter(({ biasKept }) => !biasKept);
  expect(dropped.length).toBeGreaterThan(0);
  for (const output of dropped) {
    expect(output.heldOutErrorWithBias).toBeGreaterThanOrEqual(output.heldOutError ?? 0);
    expect(output.errorWithBias).toBe(output.error);
  }
});

it.each([
  ['llama', 'channel', 'model.norm, whose output it is, has no bias'],
  ['opt-post-norm-projected', 'channel', 'no norm follows the last block'],
  ['gpt2', 'position', 'one per channel'],
] as const)('is refused with the reason: %s, %s', async (name, compensation, reason) => {
  const model = new URL(`../models/tiny/${name}`, import.meta.url).pathname;
  const output = join(await temporaryFolder(), 'result');
  const run = async () => {
    const given = { ...options, compensation, sites: ['model'] } as const;
    for await (const _ of quantize(model, { ...given, output, calibration: exampleText }));
  };
  await expect(run()).rejects.toMatchObject({
    code: 'ERR_ARGUMENT',
    message: expect.stringContaining(reason),
  });
  await expect(readFile(join(output, 'ballast.json'))).rejects.toThrow();
});
