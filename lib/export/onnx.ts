// The format 'onnx', for ONNX Runtime and what reads its operations: model.onnx, a graph with an input of images and an
// output of logits, and model.onnx.data, its constants. Weights stay codes; activations with static ranges are quantized
// in the graph. Beside the files stand config.json and preprocessor_config.json, so that the result can be read back.

import { BallastError } from '../errors.js';
import type { ExportFormat, ExportReader, Grid, ReadInput } from './format.js';
import { uploadCodes } from './host-codes.js';
import { dynamicRange } from './onnx/activation-nodes.js';
import { blockwiseOp, expectBlocks, readBlockwiseProduct } from './onnx/blockwise-product.js';
import { readIntegerProduct } from './onnx/integer-product.js';
import { ModelFile } from './onnx/model-file.js';
import { OnnxWriter } from './onnx/writer.js';

function expectGrid(grid: Grid): void {
  expectBlocks(grid);
  if (!grid.actOrder || grid.staticGroups) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    'Expected staticGroups with actOrder for format onnx: it holds groups of consecutive columns only.',
  );
}

async function read({ device, directory, model, grid }: ReadInput): Promise<ExportReader> {
  const file = await ModelFile.open(directory);
  return {
    async linear(block, spec, dtype) {
      const name = `${model.blockName(block)}.${spec.name}`;
      const blockwise = file.readerOf(`${name}.weight`) === blockwiseOp;
      const readProduct = blockwise ? readBlockwiseProduct : readIntegerProduct;
      const codes = uploadCodes(device, await readProduct(file, name, spec, grid));
      const weight = device.dequantize(codes.codes, codes.scales, codes.zeros, dtype);
      if (!file.has(`${name}.bias`)) return { codes, weight };
      const bias = await file.floats(`${name}.bias`, [spec.outChannels]);
      return { codes, weight, bias: device.upload('float32', [spec.outChannels], bias) };
    },
    tensor(name, dtype = 'float32') {
      const stored = file.upload(device, name);
      return dtype === 'float32' ? stored : device.scope(() => device.cast(stored, dtype));
    },
  };
}

export const onnx: ExportFormat = {
  name: 'onnx',
  summary: 'a graph of integer products for ONNX Runtime; image classifiers',
  weightDtype: 'float32',
  expectGrid,
  expectActivations(dynamic) {
    if (dynamic) throw dynamicRange();
  },
  open: (input) => OnnxWriter.open(input),
  read,
  tensorNames: async (directory) => (await ModelFile.open(directory)).names,
};
