// A block of a model directory as it is to be run: its weights, and what a run of this library has left beside them.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Tensor } from '../device/index.js';
import type { BlockContext, BlockModel } from '../models/index.js';
import { blockRunner } from './hidden-states.js';
import { addPositionBias, executor } from './linear-execution.js';
import { loadBlock } from './load-block.js';
import type { PositionBiases } from './position-biases.js';

export interface StoredBlock extends Disposable {
  /** One mini-batch; intermediate tensors are the caller's scope's. */
  run(x: Tensor): Tensor;
}

/** Errors: those of loading a block, ERR_ARGUMENT for a sequence that its position biases do not hold for. */
export async function loadStoredBlock(
  checkpoint: Checkpoint,
  model: BlockModel,
  index: number,
  context: BlockContext,
  biases: PositionBiases,
): Promise<StoredBlock> {
  const { device, sequence } = context;
  const block = await loadBlock(device, checkpoint, model, index);
  const name = model.blockName(index);
  const find = (site: string) => biases.load(device, site, sequence);
  const outputBias = find(name);
  const positionBiases = new Map(
    model.linears.map((linear) => [linear.name, find(`${name}.${linear.name}`)]),
  );
  const linear = executor(device, (linearName) => {
    const weights = block.linears.get(linearName);
    if (weights === undefined) throw new RangeError(`No linear ${linearName}.`);
    return { ...weights, positionBias: positionBiases.get(linearName) };
  });
  const runBlock = blockRunner(model, block.weights, context, index);
  return {
    run(x) {
      const y = runBlock(x, linear);
      return outputBias === undefined ? y : addPositionBias(device, y, outputBias);
    },
    [Symbol.dispose]() {
      for (const bias of [outputBias, ...positionBiases.values()]) bias?.dispose();
      block[Symbol.dispose]();
    },
  };
}
