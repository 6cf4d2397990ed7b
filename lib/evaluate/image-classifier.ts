// An image classifier with all its blocks loaded, for mini-batches of images one after the other: unlike texts, whose
// hidden states stay while blocks pass, a test set of images is far larger than the model.

import { allOrNothing } from '../all-or-nothing.js';
import type { Device } from '../device/index.js';
import {
  loadStoredBlock,
  openCompanions,
  type StoredBlock,
  type StoredModel,
  uploadInput,
} from '../execution/index.js';
import type { VisionModel, Weights } from '../models/index.js';

export class ImageClassifier implements Disposable {
  private constructor(
    private readonly device: Device,
    private readonly model: VisionModel,
    private readonly embedding: Weights,
    private readonly blocks: readonly StoredBlock[],
    private readonly head: Weights,
  ) {}

  /** Errors: those of loading. */
  static async load(
    device: Device,
    stored: StoredModel,
    model: VisionModel,
  ): Promise<ImageClassifier> {
    const context = { device, sequence: model.sequence };
    const companions = await openCompanions(stored, model);
    return allOrNothing(async (own) => {
      const embedding = await own(stored.loadWeights(model.embedTensors));
      const blocks: StoredBlock[] = [];
      for (let index = 0; index < model.blocks; index++) {
        blocks.push(await own(loadStoredBlock(stored, model, index, context, companions)));
      }
      const head = await own(stored.loadWeights(model.headTensors));
      return new ImageClassifier(device, model, embedding, blocks, head);
    });
  }

  /** pixels [images, channels·height·width] → logits [images, classes]. */
  async logits(pixels: Float32Array): Promise<Float32Array> {
    const { device, model } = this;
    const context = { device, sequence: model.sequence };
    using logits = device.scope(() => {
      let x = model.embed(uploadInput(device, pixels), this.embedding, context);
      // Each block's intermediates are released as soon as it has been queued.
      for (const block of this.blocks) x = device.scope(() => block.run(x));
      return model.head(x, this.head, context);
    });
    return logits.readFloat32();
  }

  [Symbol.dispose](): void {
    for (const block of this.blocks) block[Symbol.dispose]();
    this.embedding.dispose();
    this.head.dispose();
  }
}
