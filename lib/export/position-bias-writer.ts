// Biases per position, beside whatever format the weights are in: one file for the evaluator.

import { SafetensorsWriter } from '../checkpoint/safetensors-writer.js';
import type { Tensor } from '../device/index.js';
import { positionBiasFile } from '../execution/index.js';
import type { LanguageModel } from '../models/index.js';

export class PositionBiasWriter {
  readonly #writer: SafetensorsWriter;

  private constructor(writer: SafetensorsWriter) {
    this.#writer = writer;
  }

  /** Plans one bias [sequence, out] for each linear and, with `blocks`, one for each block's output. */
  static async open(
    directory: string,
    model: LanguageModel,
    sequence: number,
    sites: { readonly linears: boolean; readonly blocks: boolean },
  ): Promise<PositionBiasWriter> {
    const plan: { name: string; dtype: 'float32'; shape: number[] }[] = [];
    const add = (site: string, channels: number) =>
      plan.push({ name: `${site}.position_bias`, dtype: 'float32', shape: [sequence, channels] });
    for (let index = 0; index < model.blocks; index++) {
      const block = model.blockName(index);
      for (const { name, outChannels } of sites.linears ? model.linears : []) {
        add(`${block}.${name}`, outChannels);
      }
      if (sites.blocks) add(block, model.hiddenSize);
    }
    const baseName = positionBiasFile.replace(/\.safetensors$/, '');
    const options = { baseName, maxShardBytes: Number.MAX_SAFE_INTEGER };
    return new PositionBiasWriter(await SafetensorsWriter.create(directory, plan, options));
  }

  async write(site: string, bias: Tensor): Promise<void> {
    await this.#writer.write(`${site}.position_bias`, new Uint8Array(await bias.read()));
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }
}
