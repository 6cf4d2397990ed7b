// Exact descent on the layer's own error, e = Σ_o ΔW_o M ΔW_oᵀ: from GPTQ's codes on, scales move to where e is
// least and codes, one after the other, take their best value. No step raises e. Legend: M the moment of the inputs
// (Σ or G), damped as for GPTQ, because directions that calibration hardly saw are not as free as they look.
// Codes: COMQ (arXiv 2403.07134). Start: GPTQ (arXiv 2210.17323).

import type { DescendOptions, Tensor } from '../device/index.js';
import { prepareGptq } from './gptq.js';
import {
  coarseGridOptions,
  expectMoment,
  type GroupInput,
  type GroupQuantizer,
  type QuantizedWeight,
  type Quantizer,
} from './quantizer.js';

export function descendOptions({ scheme, options }: GroupInput): DescendOptions {
  return {
    bits: scheme.bits,
    scaleDtype: scheme.scaleDtype,
    rounds: options.rounds,
    // A second sweep of a block that is in the cache is cheap and settles most of what the first one stirred up.
    sweeps: 2,
    refit: true,
    greedy: options.order === 'greedy',
    unrounded: false,
    damping: options.damping,
    // Rounds bring 10 %, 3 %, 1 % …: below a tenth of a percent nothing comes after.
    tolerance: 1e-3,
  };
}

async function forGroup(input: GroupInput): Promise<GroupQuantizer> {
  const fit = expectMoment('Descent', input);
  const { device, moment } = fit;
  // In act-order descent ends 1–4 % lower; static groups stay where they are, so no format sees the order.
  const start = await prepareGptq(
    { ...fit, options: { ...fit.options, actOrder: true, staticGroups: true, refit: 'none' } },
    coarseGridOptions(fit.scheme),
  );
  const options = descendOptions(fit);
  /** Of super-blocks: scales that are best where they are free, and a sweep on what storage makes of them. */
  const onSuperBlocks = (weight: Tensor, swept: QuantizedWeight) => {
    const free = device.descend(weight, moment, swept, { ...options, rounds: 1 });
    const stepped = device.superScales(weight, free, fit.scheme.bits);
    return { ...stepped, codes: start.quantize(weight, stepped).codes };
  };
  const quantize = (weight: Tensor): QuantizedWeight => {
    const swept = start.quantize(weight);
    const from = fit.scheme.superBlocks ? onSuperBlocks(weight, swept) : swept;
    const { errors: _, ...found } = device.descend(weight, moment, from, options);
    return { ...found, damping: swept.damping };
  };
  return {
    quantize: (weight) => device.scope(() => quantize(weight)),
    [Symbol.dispose]: () => start[Symbol.dispose](),
  };
}

export const descent: Quantizer = {
  name: 'descent',
  summary: 'exact descent on codes and scales from a GPTQ start',
  needsMoment: true,
  takesRounds: true,
  // Measured on held-out samples: less damping fits the calibration samples' noise.
  defaults: { clip: 'mse', damping: 0.03 },
  forGroup,
};
