// What must not change a result: the number of threads, running again, and options that have no part in it.

import { expect, it } from 'vitest';
import type { QuantizeOptions } from '../../lib/index.js';
import { exampleModel } from '../places.js';
import { type Finished, filesOf, finish } from './runs.js';

const sampling = { samples: 16, sequenceLength: 128, bits: 3 } as const;

it.each<[string, Partial<QuantizeOptions>]>([
  ['the defaults', {}],
  [
    'groups, act-order, float target, every site',
    { method: 'gptq', groupSize: 32, actOrder: true, target: 'float', sites: ['linear', 'block'] },
  ],
  ['rounding with biases per position', { method: 'rtn', compensation: 'position' }],
])('one thread and three give the same bytes and figures: %s', async (_, options) => {
  const one = await finish(exampleModel, { ...sampling, ...options, threads: 1 });
  const three = await finish(exampleModel, { ...sampling, ...options, threads: 3 });
  expect(three.report.layers).toEqual(one.report.layers);
  expect(await filesOf(three)).toEqual(await filesOf(one));
});

it('a seed gives the same result again, and another seed another', async () => {
  const run = { ...sampling, samples: 4 };
  const first = await finish(exampleModel, { ...run, seed: 1 });
  const again = await finish(exampleModel, { ...run, seed: 1 });
  const other = await finish(exampleModel, { ...run, seed: 2 });
  expect(await filesOf(again)).toEqual(await filesOf(first));
  const weights = async (run: Finished) => (await filesOf(run))['model.safetensors'];
  expect(await weights(first)).toHaveLength(64);
  expect(await weights(other)).not.toEqual(await weights(first));
});

it('a float target is damped however little the quantizer is', async () => {
  const run = { ...sampling, samples: 4, method: 'rtn', target: 'float' } as const;
  // Rounding to nearest takes no damping, so the target's is all there is.
  const damped = async (damping: number) =>
    (await finish(exampleModel, { ...run, damping })).report.layers;
  const undamped = await damped(0);
  expect(undamped).toEqual(await damped(0.01));
  expect(undamped).not.toEqual(await damped(0.1));
});
