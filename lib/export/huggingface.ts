// The format 'huggingface': the source's layout with dequantized weights in the source's dtypes and folded biases,
// so that whatever loads the source loads the result.

import { copyTensor } from '../checkpoint/copy-tensor.js';
import { SafetensorsWriter } from '../checkpoint/safetensors-writer.js';
import type { DType, Tensor } from '../device/index.js';
import type { ExportedBlock, ExportFormat, ExportInput, ExportWriter } from './format.js';

class HuggingFaceWriter implements ExportWriter {
  readonly #input: ExportInput;
  readonly #writer: SafetensorsWriter;
  readonly #remaining: Set<string>;

  constructor(input: ExportInput, writer: SafetensorsWriter) {
    this.#input = input;
    this.#writer = writer;
    this.#remaining = new Set(input.checkpoint.tensors.keys());
  }

  async writeBlock({ index, linears, replaced }: ExportedBlock): Promise<void> {
    const { device, model } = this.#input;
    const block = model.blockName(index);
    for (const { name, layout } of model.linears) {
      const linear = linears.get(name);
      if (linear === undefined) continue;
      const stored = layout === 'in_out' ? device.transpose(linear.weight) : linear.weight;
      await this.#write(`${block}.${name}.weight`, stored);
      if (layout === 'in_out') stored.dispose();
      if (linear.bias !== undefined) await this.#write(`${block}.${name}.bias`, linear.bias);
    }
    for (const [name, tensor] of replaced) await this.#write(`${block}.${name}`, tensor);
  }

  async finish(): Promise<void> {
    const { checkpoint, output } = this.#input;
    for (const name of this.#remaining) {
      await copyTensor(checkpoint.tensor(name), (bytes) => this.#writer.write(name, bytes));
    }
    await this.#writer.close();
    await output.writeJson('config.json', checkpoint.config);
    await output.copyCompanions(checkpoint.directory);
  }

  abort(): Promise<void> {
    return this.#writer.abort();
  }

  async #write(name: string, tensor: Tensor): Promise<void> {
    const { device, checkpoint } = this.#input;
    const dtype = (checkpoint.tensors.get(name)?.dtype ?? tensor.dtype) as DType;
    const converted = tensor.dtype === dtype ? tensor : device.cast(tensor, dtype);
    try {
      await this.#writer.write(name, new Uint8Array(await converted.read()));
      this.#remaining.delete(name);
    } finally {
      if (converted !== tensor) converted.dispose();
    }
  }
}

export const huggingface: ExportFormat = {
  name: 'huggingface',
  summary: 'dequantized weights in the source’s layout and dtypes',
  async open(input) {
    const plan = Array.from(input.checkpoint.tensors.values(), ({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
    }));
    const { maxShardBytes } = input;
    const writer = await SafetensorsWriter.create(input.output.path, plan, { maxShardBytes });
    return new HuggingFaceWriter(input, writer);
  },
};
