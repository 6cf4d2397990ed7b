// The format 'huggingface': the source's layout with dequantized weights in the source's dtypes and folded biases,
// so that whatever loads the source loads the result. Beside them lies the grid, which tells their codes.

import type { Tensor } from '../device/index.js';
import { bytesOfMade } from './bytes.js';
import type {
  ExportedBlock,
  ExportFormat,
  ExportInput,
  ExportReader,
  ExportWriter,
  ReadInput,
} from './format.js';
import { GridFile, GridFileWriter } from './grid-file.js';
import type { LinearLayout } from './safetensors-layout.js';
import { openLayoutReader } from './safetensors-reader.js';
import { openLayoutWriter } from './safetensors-writer.js';

const layout: LinearLayout = {
  plan({ spec, dtype }) {
    const { inChannels, outChannels } = spec;
    const shape = spec.layout === 'in_out' ? [inChannels, outChannels] : [outChannels, inChannels];
    return [{ name: 'weight', dtype, shape }];
  },
  async pack(device, { weight, bytes }, { spec, dtype }) {
    if (bytes !== undefined && weight.dtype === dtype && spec.layout !== 'in_out') {
      return { weight: bytes };
    }
    const stored = await bytesOfMade(device, () => {
      const converted = device.cast(weight, dtype);
      return spec.layout === 'in_out' ? device.transpose(converted) : converted;
    });
    return { weight: stored };
  },
  async unpack(device, stored, { spec }) {
    const weight = device.scope(() => {
      const tensor = stored.tensor('weight');
      return spec.layout === 'in_out' ? device.transpose(tensor) : tensor;
    });
    return { weight };
  },
  config: () => ({}),
};

class HuggingfaceWriter implements ExportWriter {
  constructor(
    private readonly weights: ExportWriter,
    private readonly grid: GridFileWriter,
  ) {}

  async writeBlock(block: ExportedBlock): Promise<void> {
    await this.weights.writeBlock(block);
    await this.grid.writeBlock(block);
  }

  async written(): Promise<void> {
    await this.weights.written?.();
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.weights.finish(replaced);
    await this.grid.close();
  }

  async abort(): Promise<void> {
    await this.weights.abort();
    await this.grid.abort();
  }
}

async function open(input: ExportInput): Promise<ExportWriter> {
  const weights = await openLayoutWriter(input, layout);
  try {
    return new HuggingfaceWriter(weights, await GridFileWriter.create(input));
  } catch (error) {
    await weights.abort();
    throw error;
  }
}

async function read(input: ReadInput): Promise<ExportReader> {
  const { device, directory, model, grid } = input;
  const weights = await openLayoutReader(input, layout);
  const file = input.codes ? await GridFile.open(directory) : undefined;
  if (file === undefined) return weights;
  return {
    ...weights,
    async linear(block, spec, dtype) {
      const stored = await weights.linear(block, spec, dtype);
      const name = `${model.blockName(block)}.${spec.name}`;
      const codes = await file.codes(device, name, spec, grid, stored.weight);
      return codes === undefined ? stored : { ...stored, codes };
    },
  };
}

export const huggingface: ExportFormat = {
  name: 'huggingface',
  summary: 'dequantized weights in the source’s layout and dtypes',
  plain: true,
  holdsSuperBlocks: true,
  clients: ['transformers', 'vllm'],
  open,
  read,
};
