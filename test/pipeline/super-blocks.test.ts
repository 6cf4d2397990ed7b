// Whole runs on grids of super-blocks: what every quantizer makes is what the file holds, and the better ones lose less.

import { expect, it } from 'vitest';
import { verify } from '../../lib/index.js';
import { randomLlama, superSizes } from '../export/random-llama.js';
import { exampleModel } from '../places.js';
import { finish } from './runs.js';

// The same damping for all: what is compared is the error on the samples that it was fitted on.
const run = { format: 'gguf', samples: 8, sequenceLength: 128, heldOut: 0, damping: 0.01 } as const;

async function errorOf(model: string, options: object): Promise<number> {
  const { directory, report } = await finish(model, { ...run, ...options });
  await expect(verify(directory)).resolves.toMatchObject({ linears: 14 });
  expect(report.options).toMatchObject({ superBlocks: true });
  return report.layers.reduce((sum, { errorWithBias }) => sum + errorWithBias, 0);
}

it.each([
  [2, {}],
  [3, {}],
  [4, { superBlocks: true }],
])('at %i bits %o', async (bits, options) => {
  const model = (await randomLlama(superSizes)).directory;
  const error = (method: string, more: object = {}) =>
    errorOf(model, { ...options, bits, method, ...more });
  const rtn = await error('rtn');
  const refitted = await error('rtn', { refit: 'scales' });
  const gptq = await error('gptq');
  const ordered = await error('gptq', { actOrder: true, staticGroups: true });
  const comq = await error('comq');
  // Full ranges, as the sweeps above have them.
  const descent = await error('descent', { clip: 'none' });
  expect(refitted).toBeLessThan(rtn);
  for (const better of [gptq, ordered, comq]) expect(better).toBeLessThan(refitted);
  expect(descent).toBeLessThan(Math.min(gptq, ordered));
});

it('is refused where 256 does not divide the channels of some linear', async () => {
  await expect(finish(exampleModel, { bits: 4, superBlocks: true })).rejects.toMatchObject({
    code: 'ERR_ARGUMENT',
    message: expect.stringMatching(
      /^Expected input channels that 256 divides for superBlocks but /,
    ),
  });
});
