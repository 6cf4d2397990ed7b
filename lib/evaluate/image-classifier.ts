// An image classifier with all its blocks loaded, for mini-batches of images one after the other: unlike texts, whose
// hidden states stay while blocks pass, a test set of images is far larger than the model.

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
    const loaded: Disposable[] = [];
    const own = <T extends Disposable>(resource: T): T => {
      loaded.push(resource);
      return resource;
    };
    try {
      const embedding = own(await stored.loadWeights(model.embedTensors));
      const blocks: StoredBlock[] = [];
      for (let index = 0; index < model.blocks; index++) {
        blocks.push(own(await loadStoredBlock(stored, model, index, context, companions)));
      }
      const head = own(await stored.loadWeights(model.headTensors));
      return new ImageClassifier(device, model, embedding, blocks, head);
    } catch (error) {
      for (const resource of loaded) resource[Symbol.dispose]();
      throw error;
    }
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
