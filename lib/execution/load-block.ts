// The tensors of one block on a device: linears in the checkpoint's own dtype and oriented [out, in], everything
// else in float32. Values that are not finite are refused here, where file and tensor can still be named.

import { allOrNothing } from '../all-or-nothing.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { converted, loadTensor, startUpload, type Upload } from '../checkpoint/load-tensor.js';
import type { Device, Tensor } from '../device/index.js';
import { type BlockModel, shapeOf, Weights } from '../models/index.js';
import { expectFinite, expectFiniteBlock } from './expect-finite.js';
import type { LinearWeights } from './linear-execution.js';

export interface LoadedBlock extends Disposable {
  /** Norms and the like, by their names inside the block. */
  readonly weights: Weights;
  readonly linears: ReadonlyMap<string, LinearWeights>;
}

/** Asking for another than the block's own linears is a defect of the caller. */
export function linearOf({ linears }: LoadedBlock, name: string): LinearWeights {
  const weights = linears.get(name);
  if (weights === undefined) throw new RangeError(`The block has no linear ${name}.`);
  return weights;
}

/**
 * Loads a block of a checkpoint that `expectTensors` has passed. Error ERR_CHECKPOINT for NaN or infinity.
 * Tensors whose `uploads` have begun, by full name, are not uploaded again; those that are used are taken out of it.
 */
export async function loadBlock(
  device: Device,
  checkpoint: Checkpoint,
  model: BlockModel,
  index: number,
  uploads: Map<string, Upload> = new Map(),
): Promise<LoadedBlock> {
  const block = model.blockName(index);
  const { blockTensors, linears: specs } = shapeOf(model, index);
  const loaded: Tensor[] = [];
  const load = (name: string, dtype?: 'float32') => {
    const full = `${block}.${name}`;
    const upload = uploads.get(full) ?? startUpload(device, checkpoint, full);
    uploads.delete(full);
    const stored = upload.finish();
    const tensor = converted(stored, dtype ?? stored.dtype);
    loaded.push(tensor);
    return tensor;
  };
  try {
    const weights = new Weights(blockTensors.map((name) => [name, load(name, 'float32')] as const));
    const linears = new Map<string, LinearWeights>();
    for (const { name, bias, layout } of specs) {
      const transposed = layout === 'in_out';
      const stored = load(`${name}.weight`);
      const weight = transposed ? device.transpose(stored) : stored;
      if (transposed) {
        stored.dispose();
        loaded.push(weight);
      }
      linears.set(name, {
        weight,
        bias: bias ? load(`${name}.bias`, 'float32') : undefined,
      });
    }
    await expectFiniteBlock(block, blockTensors, { weights, linears }, fileIn(checkpoint));
    const dispose = () => {
      for (const tensor of loaded) tensor.dispose();
    };
    return { weights, linears, [Symbol.dispose]: dispose };
  } catch (error) {
    for (const tensor of loaded) tensor.dispose();
    throw error;
  }
}

/**
 * Tensors outside blocks (embedding, head), by full name; `float32` for all but large tables. Those that `replaced` has,
 * on whatever device, stand in for the checkpoint's.
 */
export function loadWeights(
  device: Device,
  checkpoint: Checkpoint,
  names: readonly string[],
  replaced: ReadonlyMap<string, Tensor> = new Map(),
): Promise<Weights> {
  return allOrNothing(async (own) => {
    const tensors: (readonly [string, Tensor])[] = [];
    for (const name of names) {
      // Matrices stay as they are stored: embedding and matmul read every weight dtype.
      const matrix = checkpoint.tensor(name).shape.length === 2;
      // A handle of its own: whoever replaced it disposes theirs.
      const tensor = await own(
        replaced.get(name)?.copyTo(device) ??
          loadTensor(device, checkpoint, name, matrix ? {} : { dtype: 'float32' }),
      );
      tensors.push([name, tensor]);
    }
    await expectFinite(tensors, fileIn(checkpoint));
    return new Weights(tensors);
  });
}

const fileIn = (checkpoint: Checkpoint) => (name: string) => checkpoint.tensor(name).file;
