// Where the weights of a model to be run come from: a checkpoint as it is, or a result whose codes are dequantized as
// each block is loaded. Who runs the model does not see which.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Device, Tensor } from '../device/index.js';
import type { BlockModel, Weights } from '../models/index.js';
import { expectOuterShapes, type LoadedBlock, loadBlock, loadWeights } from './load-block.js';

export interface StoredModel {
  /** Where the files lie, and what a run of this library has left beside them. */
  readonly directory: string;
  loadBlock(index: number): Promise<LoadedBlock>;
  /** Tensors outside blocks, by full name. */
  loadWeights(names: readonly string[]): Promise<Weights>;
}

/**
 * `replaced` tensors outside blocks (float32, by full name) stand in for the checkpoint's. Error ERR_CHECKPOINT for one
 * that is missing or of another shape.
 */
export function checkpointModel(
  device: Device,
  checkpoint: Checkpoint,
  model: BlockModel,
  replaced?: ReadonlyMap<string, Tensor>,
): StoredModel {
  expectOuterShapes(checkpoint, model);
  return {
    directory: checkpoint.directory,
    loadBlock: (index) => loadBlock(device, checkpoint, model, index),
    loadWeights: (names) => loadWeights(device, checkpoint, names, replaced),
  };
}
