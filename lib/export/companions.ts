// What a run leaves beside its weights, for formats that compute: biases per position of one block.

import type { Device, Tensor } from '../device/index.js';
import type { PositionBiases } from '../execution/index.js';
import { type BlockModel, shapeOf } from '../models/index.js';

interface BlockPositionBiases extends Disposable {
  /** By the linear's name inside the block: [sequence, out] float32. */
  readonly positionBiases: ReadonlyMap<string, Tensor>;
  /** Of the block's output. */
  readonly positionBias: Tensor | undefined;
}

/** None for a model that reads samples of any length: only our own evaluator can add its biases. */
export function loadPositionBiases(
  device: Device,
  model: BlockModel,
  index: number,
  biases: PositionBiases,
): BlockPositionBiases {
  const { linears, sequence } = shapeOf(model, index);
  const block = model.blockName(index);
  const find = (site: string) =>
    sequence === undefined ? undefined : biases.load(device, site, sequence);
  const positionBiases = new Map<string, Tensor>();
  for (const { name } of linears) {
    const bias = find(`${block}.${name}`);
    if (bias !== undefined) positionBiases.set(name, bias);
  }
  const positionBias = find(block);
  return {
    positionBiases,
    positionBias,
    [Symbol.dispose]() {
      for (const bias of [...positionBiases.values(), positionBias]) bias?.dispose();
    },
  };
}
