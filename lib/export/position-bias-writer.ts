// Biases per position, beside whatever format the weights are in: one file for the evaluator.

import { SafetensorsWriter } from '../checkpoint/safetensors-writer.js';
import type { Tensor } from '../device/index.js';
import { positionBiasFile } from '../execution/index.js';
import type { BlockModel, LinearSpec } from '../models/index.js';

export class PositionBiasWriter {
  readonly #writer: SafetensorsWriter;
  /** Of each planned bias. */
  readonly #bytes: ReadonlyMap<string, number>;

  private constructor(writer: SafetensorsWriter, bytes: ReadonlyMap<string, number>) {
    this.#writer = writer;
    this.#bytes = bytes;
  }

  /** Plans one bias [sequence, out] for each of `linears` of each block and, with `blocks`, one for its output. */
  static async open(
    directory: string,
    model: BlockModel,
    sequence: number,
    sites: { readonly linears: readonly LinearSpec[]; readonly blocks: boolean },
  ): Promise<PositionBiasWriter> {
    const plan: { name: string; dtype: 'float32'; shape: number[] }[] = [];
    const add = (site: string, channels: number) =>
      plan.push({ name: `${site}.position_bias`, dtype: 'float32', shape: [sequence, channels] });
    for (let index = 0; index < model.blocks; index++) {
      const block = model.blockName(index);
      for (const { name, outChannels } of sites.linears) {
        add(`${block}.${name}`, outChannels);
      }
      if (sites.blocks) add(block, model.hiddenSize);
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
      bias === undefined ? new Uint8Array(bytes) : new Uint8Array(await bias.read()),
    );
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }
}
