// Reads a result back from its graph: linears as its nodes see them, and all else under the source's names.

import { converted } from '../../checkpoint/load-tensor.js';
import type { ExportReader, FileDescription, ReadInput } from '../format.js';
import { uploadCodes } from '../host-codes.js';
import { blockwiseOp, readBlockwiseProduct } from './blockwise-product.js';
import { readIntegerProduct } from './integer-product.js';
import { ModelFile } from './model-file.js';

export async function openOnnxReader(input: ReadInput): Promise<ExportReader> {
  const { device, directory, model, grid } = input;
  const file = await ModelFile.open(directory);
  return {
    async linear(block, spec, dtype) {
      const name = `${model.blockName(block)}.${spec.name}`;
      const blockwise = file.readerOf(`${name}.weight`) === blockwiseOp;
      const readProduct = blockwise ? readBlockwiseProduct : readIntegerProduct;
      const codes = uploadCodes(device, await readProduct(device, file, name, spec, grid));
      const weight = device.dequantize(codes.codes, codes.scales, codes.zeros, dtype);
      if (!file.has(`${name}.bias`)) return { codes, weight };
      const bias = await file.floats(`${name}.bias`, [spec.outChannels]);
      return { codes, weight, bias: device.upload('float32', [spec.outChannels], bias) };
    },
    tensor(name, dtype = 'float32') {
      return converted(file.upload(device, name), dtype);
    },
  };
}

export async function tensorNames(directory: string): Promise<ReadonlySet<string>> {
  return (await ModelFile.open(directory)).names;
}

export async function describeOnnx(directory: string): Promise<FileDescription> {
  return (await ModelFile.open(directory)).describe();
}
