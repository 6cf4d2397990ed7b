// ONNX files of tiny image classifiers, read and run by the tests' own reader and runtime: what they compute is what our
// evaluator computes on the same weights, activations and biases. ONNX Runtime itself: onnx-runtime.test.ts.

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import type { Grid } from '../../lib/export/format.js';
import { uploadCodes } from '../../lib/export/host-codes.js';
import { openModelFiles } from '../../lib/export/index.js';
import {
  readBlockwiseProduct,
  writeBlockwiseProduct,
} from '../../lib/export/onnx/blockwise-product.js';
import { DataFile } from '../../lib/export/onnx/data-file.js';
import { Graph } from '../../lib/export/onnx/graph.js';
import { ModelFile } from '../../lib/export/onnx/model-file.js';
import { exportResult, type QuantizeOptions, verify } from '../../lib/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { normals } from '../native/harness.js';
import { finish } from '../pipeline/runs.js';
import { exampleModel, temporaryFolder } from '../places.js';
import { type OnnxFile, readOnnx } from './onnx-file.js';
import { run } from './onnx-interpreter.js';
import { baseGrid } from './random-llama.js';
import { distance, ownLogits, quantizedTiny } from './tiny-vision.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

type Options = Partial<QuantizeOptions>;

/** Logits of the file's graph, and of our evaluator on the same result. */
async function compare(directory: string, variant: string) {
  const { shape, pixels, logits } = await ownLogits(device, directory, variant);
  const file = readOnnx(directory);
  const { data } = run(file, { shape, data: Float64Array.from(pixels) });
  expect(data.length).toBe(logits.length);
  return { file, error: distance(data, logits) };
}

const nodesOf = ({ nodes }: OnnxFile, op: string) => nodes.filter((node) => node.op === op);

describe('weights alone', () => {
  it.each<[string, Options]>([
    ['vit', { bits: 4 }],
    ['vit', { bits: 3, symmetric: true }],
    ['deit', { bits: 8, symmetric: true }],
    ['deit-distilled', { bits: 5, compensation: 'position', sites: ['linear', 'block'] }],
    ['vit-no-qkv-bias-one-channel', { bits: 2, symmetric: true, compensation: 'none' }],
    ['deit-distilled', { bits: 4, sites: ['linear', 'block', 'model'] }],
    ['swin', { bits: 4, compensation: 'none' }],
    ['swin-positions-three-stages', { bits: 8, compensation: 'position' }],
  ])('of %s with %j compute what our evaluator does', async (variant, options) => {
    const directory = await quantizedTiny(variant, options);
    const { file, error } = await compare(directory, variant);
    expect(error).toBeLessThan(1e-5);
    const { linears } = await verify(directory);
    expect(nodesOf(file, 'MatMulNBits')).toHaveLength(linears);
    expect(nodesOf(file, 'QuantizeLinear')).toHaveLength(0);
  });

  it('have biases where the source has none', async () => {
    const file = readOnnx(await quantizedTiny('vit-no-qkv-bias-one-channel', { bits: 2 }));
    const name = 'vit.encoder.layer.0.attention.attention.query';
    expect(file.constants.get(`${name}.bias`)?.shape).toEqual([24]);
    expect(file.nodes.some(({ inputs }) => inputs.includes(`${name}.bias`))).toBe(true);
  });

  it.each<[string, number, Partial<Grid>]>([
    ['a block each', 96, { bits: 4, groupSize: 32 }],
    ['three blocks each', 96, { bits: 3, groupSize: 48, symmetric: true }],
    ['a block each, of bytes', 64, { bits: 8, groupSize: 16 }],
    ['two blocks each, of bytes', 192, { bits: 6, groupSize: 96, symmetric: true }],
    ['all, the last block incomplete', 40, { bits: 4, groupSize: 0 }],
  ])('in groups of %s are the same when read back', async (_, inChannels, changes) => {
    const outChannels = 5;
    const grid: Grid = { ...baseGrid, ...changes };
    const groups = grid.groupSize === 0 ? 1 : inChannels / grid.groupSize;
    const whole = (count: number, seed: number) =>
      normals(count, seed, 2 ** grid.bits / 5, 2 ** (grid.bits - 1)).map((value) =>
        Math.min(Math.max(Math.round(value), 0), 2 ** grid.bits - 1),
      );
    const zeros = grid.symmetric
      ? new Float32Array(outChannels * groups).fill(2 ** (grid.bits - 1))
      : whole(outChannels * groups, 2);
    const codes = Uint8Array.from(whole(outChannels * inChannels, 1));
    const scales = normals(outChannels * groups, 3, 0.1, 1);
    const host = { outChannels, inChannels, groups, codes, scales, zeros };

    const directory = await temporaryFolder();
    const data = await DataFile.create(directory);
    const graph = new Graph(data);
    const multiply = await writeBlockwiseProduct(graph, 'linear', uploadCodes(device, host), grid);
    const bytes = graph.encode({ name: 'x', shape: [inChannels] }, multiply('x'), {
      name: 'y',
      shape: [outChannels],
    });
    await data.close();
    writeFileSync(join(directory, 'model.onnx'), bytes);

    const file = await ModelFile.open(directory);
    expect(await readBlockwiseProduct(device, file, 'linear', host, grid)).toEqual(host);
    const narrower = { ...host, outChannels: outChannels - 1 };
    await expect(readBlockwiseProduct(device, file, 'linear', narrower, grid)).rejects.toThrow(
      /linear.weight is not read by MatMulNBits with .*"N":4/,
    );
    const identity = Float64Array.from({ length: inChannels ** 2 }, (_, i) =>
      i % (inChannels + 1) === 0 ? 1 : 0,
    );
    const x = { shape: [inChannels, inChannels], data: identity };
    const { data: weight } = run(readOnnx(directory), x);
    for (const [i, value] of weight.entries()) {
      const [column, row] = [Math.floor(i / outChannels), i % outChannels];
      const group = row * groups + Math.floor((column * groups) / inChannels);
      const code = (codes[row * inChannels + column] ?? 0) - (zeros[group] ?? 0);
      expect(value).toBe((scales[group] ?? 0) * code);
    }
  });
});

const activated: Options = { bits: 8, activationBits: 8, activationSites: ['linear', 'attention'] };

describe('quantized activations', () => {
  it.each<[string, Options, object]>([
    ['vit', activated, {}],
    ['vit', { ...activated, symmetric: true, activationSymmetric: true }, {}],
    ['vit', { ...activated, activationSites: ['attention'] }, { hidden_act: 'quick_gelu' }],
    ['deit', { ...activated, bits: 4, compensation: 'position' }, { hidden_act: 'gelu_new' }],
    ['deit-distilled', { ...activated, bits: 3, symmetric: true, activationBits: 6 }, {}],
    [
      'vit-no-qkv-bias-one-channel',
      { ...activated, activationBits: 4, compensation: 'position' },
      { hidden_act: 'relu' },
    ],
    ['swin', { ...activated, compensation: 'none' }, {}],
    ['swin-positions-three-stages', { ...activated, compensation: 'position' }, {}],
    [
      'vit',
      { ...activated, activationBits: 6, activationRange: 'cosine', activationTwin: true },
      { hidden_act: 'silu' },
    ],
  ])('of %s with %j, %j compute what our evaluator does', async (variant, options, fields) => {
    const directory = await quantizedTiny(variant, options, fields);
    const { error } = await compare(directory, variant);
    // What lies between two codes may round to either.
    expect(error).toBeLessThan(5e-3);
    expect(await verify(directory)).toMatchObject({ format: 'onnx' });
  });

  it('are integers around products of integers', async () => {
    const file = readOnnx(await quantizedTiny('vit', activated));
    const made = new Map(file.nodes.map((node) => [node.output, node]));
    const products = nodesOf(file, 'MatMul');
    expect(products).toHaveLength(16);
    for (const { inputs } of products) {
      for (const input of inputs) expect(made.get(input)?.op).toBe('DequantizeLinear');
    }
    // One for the three linears that read the same, three for the others, four for attention's operands.
    expect(nodesOf(file, 'QuantizeLinear')).toHaveLength(2 * (1 + 3 + 4));
    const constant = (name: string) => file.constants.get(`vit.encoder.layer.1.${name}`);
    expect(constant('output.dense.weight')).toMatchObject({ type: 'uint8', shape: [40, 24] });
    expect(constant('output.dense.weight_zero_point')).toMatchObject({ shape: [24] });
    expect(constant('output.dense.bias')).toMatchObject({ type: 'float32', shape: [24] });
    expect(file).toMatchObject({
      irVersion: 10,
      opsets: { '': 21, 'com.microsoft': 1 },
      input: ['pixel_values', [undefined, 3, 12, 12]],
      output: ['logits', [undefined, 7]],
    });
  });

  it('take weights of four bits two in a byte, signed where the grid is symmetric', async () => {
    const options = { ...activated, bits: 4, symmetric: true };
    const { constants } = readOnnx(await quantizedTiny('vit', options));
    const name = 'vit.encoder.layer.0.intermediate.dense';
    expect(constants.get(`${name}.weight`)).toMatchObject({ type: 'int4', shape: [24, 40] });
    expect(constants.has(`${name}.weight_zero_point`)).toBe(false);
    expect(constants.get(`${name}.weight`)?.inline).toBe(true);
    expect(constants.get('vit.embeddings.patch_embeddings.projection.weight')?.inline).toBe(false);
  });
});

describe('a finished result', () => {
  it('of another format becomes one, and one of another format again', async () => {
    const format = 'compressed-tensors';
    const from = await quantizedTiny('deit', { ...activated, format, scaleDtype: 'float32' });
    const folder = await temporaryFolder();
    const [there, back] = [join(folder, 'onnx'), join(folder, 'back')];
    await exportResult(from, { format: 'onnx', output: there });
    await exportResult(there, { format, output: back });
    const files = ['ballast-activations.json', 'model.safetensors'];
    for (const file of files) {
      expect(readFileSync(join(back, file)).equals(readFileSync(join(from, file)))).toBe(true);
    }
    expect((await compare(there, 'deit')).error).toBeLessThan(5e-3);
  });

  it.each(['weight', 'weight_scale', 'weight_zero_point', 'bias'])(
    'is found to be changed in a %s',
    async (part) => {
      const directory = await quantizedTiny('vit', activated);
      const name = `vit.encoder.layer.1.output.dense.${part}`;
      const { type = '', data = [] } = readOnnx(directory).constants.get(name) ?? {};
      const file = join(directory, 'model.onnx');
      const bytes = readFileSync(file);
      const raw = type === 'uint8' ? Uint8Array.from(data) : Float32Array.from(data);
      const at = bytes.indexOf(new Uint8Array(raw.buffer));
      expect(at).toBeGreaterThan(0);
      bytes[at + 2] = (bytes[at + 2] ?? 0) ^ 1;
      writeFileSync(file, bytes);
      await expect(verify(directory)).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT',
        message: expect.stringContaining('vit.encoder.layer.1.output.dense'),
      });
    },
  );

  it('that ends too early, points elsewhere, or is none, is one error', async () => {
    const directory = await quantizedTiny('vit', { bits: 8, symmetric: true });
    const file = join(directory, 'model.onnx');
    const data = join(directory, 'model.onnx.data');
    truncateSync(data, statSync(data).size / 2);
    await expect(verify(directory)).rejects.toThrow(/model.onnx.data .* it ends inside tensor vit/);
    const elsewhere = readFileSync(file, 'latin1').replaceAll('model.onnx.data', '../../etc/hosts');
    writeFileSync(file, elsewhere, 'latin1');
    await expect(verify(directory)).rejects.toThrow(/vit.* lies in ..\/..\/etc\/hosts at \d+/);
    writeFileSync(file, 'no protobuf');
    await expect(verify(directory)).rejects.toThrow(/model.onnx .* it is no ONNX model/);
  });
});

describe('what the format cannot hold', () => {
  it.each<[Options, string]>([
    [
      { ...activated, activationRange: 'dynamic' },
      "Expected ranges that calibration finds, such as activationRange 'minmax', for format onnx but received dynamic " +
        'ones; its ranges are constants of the graph.',
    ],
    [
      { groupSize: 24 },
      'Expected a multiple of 16, or 0 for one group a channel, for groupSize with format onnx but received 24.',
    ],
    [
      { method: 'gptq', actOrder: true },
      'Expected staticGroups with actOrder for format onnx: it holds groups of consecutive columns only.',
    ],
  ])('is refused before anything is read: %j', async (options, message) => {
    const events = quantizedTiny('vit', options);
    await expect(events).rejects.toMatchObject({ code: 'ERR_ARGUMENT', message });
  });

  it('is refused for a model without a graph', async () => {
    await expect(finish(exampleModel, { format: 'onnx', bits: 4 })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message:
        'Expected a model of type deit, swin, vit for format onnx but received opt; use format huggingface or compressed-tensors.',
    });
  });
});

it.each<[string, Options]>([
  ['deit-distilled', { bits: 4, sites: ['linear', 'block', 'model'] }],
  ['vit', { ...activated, compensation: 'position' }],
  ['swin-positions-three-stages', { bits: 8, symmetric: true, compensation: 'none' }],
])('%s with %j is evaluated as it lies there', async (variant, options) => {
  const directory = await quantizedTiny(variant, options);
  const { pixels, logits } = await ownLogits(device, directory, variant);
  const files = await openModelFiles(directory);
  const model = readVisionModel(files.config, files.tensors);
  using classifier = await ImageClassifier.load(device, await files.open(device, model), model);
  expect(await classifier.logits(pixels)).toEqual(logits);
});
