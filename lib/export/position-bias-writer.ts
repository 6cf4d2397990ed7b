// Biases per position, beside whatever format the weights are in: one file for the evaluator.

import { SafetensorsWriter } from '../checkpoint/output/safetensors-writer.js';
import type { Tensor } from '../device/index.js';
import { positionBiasFile } from '../execution/index.js';
import { type BlockModel, shapeOf } from '../models/index.js';
import { bytesOfTensor } from './bytes.js';

export class PositionBiasWriter {
  readonly #writer: SafetensorsWriter;
  /** Of each planned bias. */
  readonly #bytes: ReadonlyMap<string, number>;

  private constructor(writer: SafetensorsWriter, bytes: ReadonlyMap<string, number>) {
    this.#writer = writer;
    this.#bytes = bytes;
  }

  /** Plans one bias [sequence, out] for each linear with one and, with `blocks`, one for each block's output. */
  static async open(
    directory: string,
    model: BlockModel,
    sequence: number,
    sites: { readonly compensates: (linear: string) => boolean; readonly blocks: boolean },
  ): Promise<PositionBiasWriter> {
    const plan: { name: string; dtype: 'float32'; shape: number[] }[] = [];
    const add = (site: string, shape: number[]) =>
      plan.push({ name: `${site}.position_bias`, dtype: 'float32', shape });
    for (let index = 0; index < model.blocks; index++) {
      const block = model.blockName(index);
      const { linears, slots, hiddenSize, sequence: tokens = sequence } = shapeOf(model, index);
      for (const { name, outChannels } of linears) {
        if (sites.compensates(name)) add(`${block}.${name}`, [tokens, outChannels]);
      }
      if (sites.blocks && slots.block !== undefined) add(block, [tokens, hiddenSize]);
    }
    const baseName = positionBiasFile.replace(/\.safetensors$/, '');
    const options = { baseName, maxShardBytes: Number.MAX_SAFE_INTEGER };
    const bytes = plan.map(
      ({ name, shape }) => [name, 4 * (shape[0] ?? 0) * (shape[1] ?? 0)] as const,
    );
    return new PositionBiasWriter(
      await SafetensorsWriter.create(directory, plan, options),
      new Map(bytes),
    );
  }

  /** Writes the bias of a site; zeros where none was kept. */
  async write(site: string, bias: Tensor | undefined): Promise<void> {
    const name = `${site}.position_bias`;
    const bytes = this.#bytes.get(name) ?? 0;
    await this.#writer.write(
      name,
      bias === undefined ? new Uint8Array(bytes) : await bytesOfTensor(bias),
    );
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }
}
