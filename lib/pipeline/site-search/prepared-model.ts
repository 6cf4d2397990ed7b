// A model that a search has quantized once, so that combinations of sites are compared by fitting biases alone. Ranges of
// activations are those of the float path, so no combination changes them. Codes are fitted to what follows: to the
// centred covariance where linears get biases, to the second moment where they get none, hence one model for each.

import type { BlockQuantizers } from '../../activations/index.js';
import { BlockLoader, linearOf, readActivations } from '../../execution/index.js';
import { openWritten } from '../../export/index.js';
import type { CalibrationData } from '../calibration-data.js';
import { quantizeBlocks } from '../quantize.js';
import type { PreparedBlock, Run } from '../run.js';

export interface PreparedModel extends Disposable {
  readonly blocks: BlockLoader;
  /** One a block; empty where activations are float. */
  readonly activations: readonly BlockQuantizers[];
}

/** Quantizes with the run's sites into `output`, a directory that the caller removes. */
export async function prepareModel(
  run: Run,
  data: CalibrationData,
  output: string,
): Promise<PreparedModel> {
  const once = { ...run, options: { ...run.options, output, format: 'huggingface' } };
  for await (const _event of quantizeBlocks(once, data)) run.throwIfAborted();
  const activations = await readActivations(output, run.model.blocks);
  const checkpoint = await openWritten(output, run.model);
  const blocks = new BlockLoader(run.device, checkpoint, run.model);
  return { blocks, activations, [Symbol.dispose]: () => blocks[Symbol.dispose]() };
}

export async function loadPrepared(
  { device }: Run,
  { blocks, activations }: PreparedModel,
  index: number,
): Promise<PreparedBlock & Disposable> {
  const block = await blocks.load(index);
  return {
    weight: (linear) => {
      const { weight } = linearOf(block, linear);
      return device.reshape(weight, weight.shape);
    },
    activations: activations[index],
    [Symbol.dispose]: () => block[Symbol.dispose](),
  };
}
