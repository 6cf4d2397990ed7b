// Where the weights of a model to be run come from: a checkpoint as it is, or a result whose codes are dequantized as
// each block is loaded. Who runs the model does not see which.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Device, Tensor } from '../device/index.js';
import type { BlockModel, Weights } from '../models/index.js';
import { BlockLoader } from './block-loader.js';
import { expectTensors } from './expect-tensors.js';
import { type LoadedBlock, loadWeights } from './load-block.js';

/** Disposing it, where it can be, drops the block that is on its way. */
export interface StoredModel extends Partial<Disposable> {
  /** Where the files lie, and what a run of this library has left beside them. */
  readonly directory: string;
  /** The caller disposes the block. */
  loadBlock(index: number): Promise<LoadedBlock>;
  /** Tensors outside blocks, by full name. */
  loadWeights(names: readonly string[]): Promise<Weights>;
}

/**
 * `replaced` tensors outside blocks (float32, by full name) stand in for the checkpoint's. Errors: those of
 * `expectTensors`.
 */
export function checkpointModel(
  device: Device,
  checkpoint: Checkpoint,
  model: BlockModel,
  replaced?: ReadonlyMap<string, Tensor>,
): StoredModel {
  expectTensors(checkpoint, model);
  const blocks = new BlockLoader(device, checkpoint, model);
  return {
    directory: checkpoint.directory,
    loadBlock: (index) => blocks.load(index),
    loadWeights: (names) => loadWeights(device, checkpoint, names, replaced),
    [Symbol.dispose]: () => blocks[Symbol.dispose](),
  };
}
