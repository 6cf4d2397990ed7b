// The format 'onnx', for ONNX Runtime and what reads its operations: model.onnx, a graph with an input of images and an
// output of logits, and model.onnx.data, its constants. Weights stay codes; activations with static ranges are quantized
// in the graph. Beside the files stand config.json and preprocessor_config.json, so that the result can be read back.

import type { ExportFormat } from './format.js';
import { codeWidth, dynamicRange, expectGrid, hasZeros } from './onnx/limits.js';

// Loaded where they are needed: protobuf would be a quarter of the time that this library takes to load.
const writer = () => import('./onnx/writer.js');
const reader = () => import('./onnx/reader.js');

export const onnx: ExportFormat = {
  name: 'onnx',
  summary: 'a graph of integer products for ONNX Runtime; image classifiers',
  clients: ['onnxruntime'],
  holdsAnyBias: true,
  computes: true,
  weightDtype: 'float32',
  storedBits: (grid) => ({
    code: codeWidth(grid),
    group: 32 + (hasZeros(grid) ? codeWidth(grid) : 0),
  }),
  expectGrid,
  expectActivations(dynamic) {
    if (dynamic) throw dynamicRange();
  },
  expectModel: async (model) => void (await import('./onnx/model-graphs.js')).graphOf(model),
  open: async (input) => (await writer()).OnnxWriter.open(input),
  read: async (input) => (await reader()).openOnnxReader(input),
  describe: async (directory) => (await reader()).describeOnnx(directory),
  tensorNames: async (directory) => (await reader()).tensorNames(directory),
};
