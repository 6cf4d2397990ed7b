// The plan against what runs take: resident memory beyond that of a run that is all small.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { planMemory, type QuantizeOptions } from '../../lib/index.js';
import { exampleText, temporaryFolder } from '../places.js';
import { quoted, runProgram } from './child.js';
import { randomOpt } from './random-opt.js';

const small = { blocks: 1, hiddenSize: 64, mlpSize: 64 };

async function measured(shape: typeof small, options: Partial<QuantizeOptions>) {
  const folder = await temporaryFolder();
  const model = await randomOpt(folder, shape);
  const given = {
    output: join(folder, 'result'),
    calibration: exampleText,
    threads: 2,
    ...options,
  };
  const peak = await runProgram(`
    for await (const event of library.quantize(${quoted(model)}, ${quoted(given)})) {
      if (event.type === 'done') console.log(event.report.peakMemoryBytes);
    }`);
  return { peak: Number(peak), plan: await planMemory(model, given) };
}

const wide = { blocks: 1, hiddenSize: 512, mlpSize: 2048 };

it.each([
  ['weights and statistics', wide, { method: 'descent' }],
  ['two paths and their drift', wide, { method: 'gptq', target: 'float' }],
  [
    'many tokens',
    { blocks: 2, hiddenSize: 512, mlpSize: 512 },
    { method: 'rtn', samples: 180, heldOut: 0 },
  ],
] as const)('%s', async (_, shape, given) => {
  const options = { samples: 8, sequenceLength: 32, ...given };
  const base = await measured(small, options);
  const { peak, plan } = await measured(shape, options);
  const ratio = (peak - base.peak) / (plan.bytes - base.plan.bytes);
  expect(ratio).toBeGreaterThan(0.6);
  // Freed memory that is kept for later counts as taken.
  expect(ratio).toBeLessThan(2);
});

it("a GPU holds the next block's weights too, where there is a next; the host a result", async () => {
  // Few enough for mini-batches of a CPU's size.
  const options = { output: 'result', calibration: exampleText, samples: 8 };
  const partsOf = async (blocks: number, device: string) => {
    const model = await randomOpt(await temporaryFolder(), { ...small, blocks });
    const { parts } = await planMemory(model, { ...options, device });
    return new Map(parts.map(({ what, bytes }) => [what, bytes]));
  };
  // Four projections of 64 × 64 and two of the MLP, as float32.
  const weights = 6 * 64 * 64 * 4;
  const [cpu, gpu] = [await partsOf(2, 'cpu'), await partsOf(2, 'cuda:0')];
  expect([cpu.get('weights of the next'), gpu.get('weights of the next')]).toEqual([
    undefined,
    weights,
  ]);
  expect([cpu.get('a result on its way'), gpu.get('a result on its way')]).toEqual([
    weights,
    undefined,
  ]);
  cpu.delete('a result on its way');
  gpu.delete('weights of the next');
  expect(gpu).toEqual(cpu);
  expect(await partsOf(1, 'cuda:0')).toEqual(cpu);
});

it('refuses what the run would refuse', async () => {
  const model = await randomOpt(await temporaryFolder(), small);
  const options = { output: 'result', calibration: exampleText, groupSize: 48 };
  await expect(planMemory(model, options)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
});
