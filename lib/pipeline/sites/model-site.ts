// The site 'model': a bias on the final hidden states, the rows that the head projects, so that their mean equals the
// float model's. It is folded into the bias of the last norm.

import type { DType, Tensor } from '../../device/index.js';
import { loadWeights, PerDevice } from '../../execution/index.js';
import type { OutputReport } from '../events.js';
import { naming, type Paths, type Run } from '../run.js';
import { foldedBias } from './folded-bias.js';
import { fitOutputBias } from './output-bias.js';

interface ModelBias extends Disposable {
  readonly report: OutputReport;
  /** The last norm's bias by its full name, float32, as the result holds it; empty where none is kept. */
  readonly replaced: ReadonlyMap<string, Tensor>;
}

/** `paths` have left the last block. Undefined where the site is not asked for. */
export async function compensateModel(run: Run, paths: Paths): Promise<ModelBias | undefined> {
  const { device, devices, checkpoint, model, context, sites } = run;
  const slot = model.slots.model;
  if (!sites.model || slot.kind !== 'norm') return undefined;
  using heads = await PerDevice.load(devices, (place) =>
    loadWeights(place, checkpoint, model.headTensors),
  );
  const final = (x: Tensor | undefined) => {
    if (x === undefined) throw new RangeError('A path without a mini-batch.');
    return model.finalStates(x, heads.of(x.device), { ...context, device: x.device });
  };
  const { bias, certificate } = await fitOutputBias(run, paths.float, 1, (x, batch) => [
    final(x),
    final(paths.quantized[batch]),
  ]);
  const { dtype } = checkpoint.tensor(slot.tensor);
  const own = heads.first.get(slot.tensor);
  const folded = bias && (await naming(slot.tensor, foldedBias(device, own, dtype as DType, bias)));
  return {
    report: { name: slot.tensor.slice(0, -'.bias'.length), ...certificate },
    replaced: new Map(folded === undefined ? [] : [[slot.tensor, folded]]),
    [Symbol.dispose]: () => folded?.dispose(),
  };
}
