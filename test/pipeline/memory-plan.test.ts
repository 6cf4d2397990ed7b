// The plan against what runs take: resident memory beyond that of a run that is all small.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { planMemory, type QuantizeOptions } from '../../lib/index.js';
import { randomLlama } from '../export/random-llama.js';
import { exampleText, temporaryFolder } from '../places.js';
import { quoted, runProgram } from './child.js';
import { randomOpt } from './random-opt.js';

const small = { blocks: 1, hiddenSize: 64, mlpSize: 64 };

async function measured(shape: typeof small, options: Partial<QuantizeOptions>) {
  return await measuredOf(await randomOpt(await temporaryFolder(), shape), options);
}

async function measuredOf(model: string, options: Partial<QuantizeOptions>) {
  const given = {
    output: join(await temporaryFolder(), 'result'),
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

it("statistics of experts, one's at a time or as many as there is room for", async () => {
  const experts = { ...{ num_local_experts: 16, num_experts_per_tok: 2 }, intermediate_size: 1024 };
  const mixtral = { model_type: 'mixtral', architectures: ['MixtralForCausalLM'] };
  const { directory } = await randomLlama({ ...mixtral, ...experts, num_hidden_layers: 1 });
  const options = { samples: 8, sequenceLength: 32, method: 'gptq', target: 'float' } as const;
  const { heldBytes, passes } = await planMemory(directory, {
    ...{ ...options, output: 'result', calibration: exampleText },
  });
  expect(passes).toEqual({ most: 17, fewest: 2 });
  const [least, most] = [
    await measuredOf(directory, { ...options, spareBytes: 0 }),
    await measuredOf(directory, { ...options, spareBytes: heldBytes }),
  ];
  expect(least.plan.bytes).toBe(most.plan.bytes);
  const ratio = (most.peak - least.peak) / heldBytes;
  expect(ratio).toBeGreaterThan(0.6);
  expect(ratio).toBeLessThan(1.5);
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
