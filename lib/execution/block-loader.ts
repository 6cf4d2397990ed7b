// The blocks of a checkpoint, one after the other on one device. While the caller works on one, the tensors of the next are
// on their way, so that weights move beside the work and not between; memory holds no more than these two blocks' weights.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { startUpload, type Upload } from '../checkpoint/load-tensor.js';
import type { Device } from '../device/index.js';
import { type BlockModel, shapeOf } from '../models/index.js';
import { type LoadedBlock, loadBlock } from './load-block.js';

export class BlockLoader implements Disposable {
  /** Which block's tensors are on their way. */
  #index = -1;
  /** By full name. */
  #uploads = new Map<string, Upload>();

  constructor(
    readonly device: Device,
    readonly checkpoint: Checkpoint,
    readonly model: BlockModel,
  ) {}

  /** The caller disposes the block. Errors: those of `loadBlock`. */
  async load(index: number): Promise<LoadedBlock> {
    const { device, checkpoint, model } = this;
    if (this.#index !== index) this.#drop();
    const loading = loadBlock(device, checkpoint, model, index, this.#uploads);
    const block = await loading.finally(() => this.#drop());
    this.#begin(index + 1);
    return block;
  }

  [Symbol.dispose](): void {
    this.#drop();
  }

  /** What is wrong with a tensor is told to whoever loads its block. */
  #begin(index: number): void {
    const { device, checkpoint, model } = this;
    if (index >= model.blocks) return;
    this.#index = index;
    const { blockTensors, linears } = shapeOf(model, index);
    const ofLinears = linears.flatMap(({ name }) => [`${name}.weight`, `${name}.bias`]);
    try {
      for (const name of [...blockTensors, ...ofLinears]) {
        const full = `${model.blockName(index)}.${name}`;
        if (!checkpoint.tensors.has(full)) continue;
        this.#uploads.set(full, startUpload(device, checkpoint, full));
      }
    } catch {
      this.#drop();
    }
  }

  #drop(): void {
    for (const upload of this.#uploads.values()) upload[Symbol.dispose]();
    this.#uploads.clear();
    this.#index = -1;
  }
}
