// The site 'model': a bias on the final hidden states, the rows that the head projects, so that their mean equals the
// float model's. It is folded into the bias of the last norm.

import type { DType, Tensor } from '../device/index.js';
import { loadWeights } from '../execution/index.js';
import type { OutputReport } from './events.js';
import { fitOutputBias } from './output-bias.js';
import { foldedBias } from './quantize-linear.js';
import type { Paths, Run } from './run.js';

export interface ModelBias extends Disposable {
  readonly report: OutputReport;
  /** The last norm's bias by its full name, float32, as the result holds it; empty where none is kept. */
  readonly replaced: ReadonlyMap<string, Tensor>;
}

/** `paths` have left the last block. Undefined where the site is not asked for. */
export async function compensateModel(run: Run, paths: Paths): Promise<ModelBias | undefined> {
  const { device, checkpoint, model, context, sites } = run;
  const slot = model.slots.model;
  if (!sites.model || slot.kind !== 'norm') return undefined;
  using head = await loadWeights(device, checkpoint, model.headTensors);
  const final = (states: readonly Tensor[], batch: number) => {
    const x = states[batch];
    if (x === undefined) throw new RangeError('A path without a mini-batch.');
    return model.finalStates(x, head, context);
  };
  const { bias, certificate } = await fitOutputBias(run, paths.float.length, 1, (batch) => [
    final(paths.float, batch),
    final(paths.quantized, batch),
  ]);
  const { dtype } = checkpoint.tensor(slot.tensor);
  const folded = bias && (await foldedBias(device, head.get(slot.tensor), dtype as DType, bias));
  return {
    report: { name: slot.tensor.slice(0, -'.bias'.length), ...certificate },
    replaced: new Map(folded === undefined ? [] : [[slot.tensor, folded]]),
    [Symbol.dispose]: () => folded?.dispose(),
  };
}
