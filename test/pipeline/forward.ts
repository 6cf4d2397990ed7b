// Certificates by brute force: a source model and a result as they lie on disk are both run over the calibration
// samples, every linear's output is formed by both its weights, and what differs is averaged in float64. Nothing of
// lib/statistics or lib/compensation takes part.

import { readFile } from 'node:fs/promises';
import { calibrationSamples } from '../../lib/calibration/samples.js';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import type { Device, Tensor } from '../../lib/device/index.js';
import {
  addPositionBias,
  embed,
  executor,
  type LinearWeights,
  loadBlock,
  loadWeights,
  miniBatches,
  PositionBiases,
} from '../../lib/execution/index.js';
import { type Linear, readModel, type Weights } from '../../lib/models/index.js';

/** The source's own bias is left out of `energy` and `error`, as certificates do. */
export interface Residual {
  /** E‖W x̂‖². */
  energy: number;
  /** E‖W x − Q x̂‖² and the same with both biases, relative to the energy. */
  error: number;
  errorWithBias: number;
  /** ‖E[(W x + c) − (Q x̂ + b)]‖² relative to the energy. */
  residualMean: number;
}

export interface Comparison {
  /** By full name of the linear. */
  readonly linears: ReadonlyMap<string, Residual>;
  /** By block: E‖y − ŷ‖² of its output, and ‖E[y − ŷ]‖². */
  readonly outputs: readonly { readonly error: number; readonly mean: number }[];
}

/** The first `samples` windows of a text, as sequential calibration takes them. */
export async function windowsOf(
  model: string,
  text: string,
  samples: number,
  sequenceLength: number,
): Promise<Int32Array[]> {
  const tokenizer = await loadTokenizer(model);
  try {
    const tokens = await tokenizer.encode(await readFile(text, 'utf8'));
    return calibrationSamples(tokens, { samples, sequenceLength, sampling: 'sequential', seed: 0 });
  } finally {
    await tokenizer.close();
  }
}

interface BlockPass {
  readonly inputs: ReadonlyMap<string, Tensor>;
  output: Tensor;
}

/**
 * W x is taken of the inputs that the path `target` has, Q x̂ of the path `inputs`: 'quantized' runs the result,
 * 'float' the source.
 */
export async function compare(
  device: Device,
  source: string,
  result: string,
  samples: readonly Int32Array[],
  paths: { readonly inputs: 'float' | 'quantized'; readonly target: 'float' | 'quantized' },
): Promise<Comparison> {
  const checkpoints = await Promise.all([source, result].map((path) => Checkpoint.open(path)));
  const [float, quantized] = checkpoints as [Checkpoint, Checkpoint];
  const model = readModel(float.config, new Set(float.tensors.keys()));
  const context = { device, sequence: samples[0]?.length ?? 0 };
  // One mini-batch of everything: the models here are small.
  const ids = miniBatches(samples, samples.length * context.sequence);
  const start = async (checkpoint: Checkpoint) => {
    using embedding = await loadWeights(device, checkpoint, model.embedTensors);
    const [state] = await embed(model, embedding, ids, context);
    if (state === undefined) throw new Error('No samples.');
    return state;
  };
  const biases = await PositionBiases.open(result);
  let x = { float: await start(float), quantized: await start(quantized) };
  const linears = new Map<string, Residual>();
  const outputs: { error: number; mean: number }[] = [];
  for (let index = 0; index < model.blocks; index++) {
    using floatBlock = await loadBlock(device, float, model, index);
    using quantizedBlock = await loadBlock(device, quantized, model, index);
    const blockName = model.blockName(index);
    const positionBias = (site: string) => biases.load(device, site, context.sequence);
    const floatLinear = (name: string): LinearWeights => found(floatBlock.linears, name);
    const quantizedLinear = (name: string): LinearWeights => ({
      ...found(quantizedBlock.linears, name),
      positionBias: positionBias(`${blockName}.${name}`),
    });
    const pass = (state: Tensor, weights: Weights, find: typeof floatLinear): BlockPass => {
      const inputs = new Map<string, Tensor>();
      const execute = executor(device, find);
      const observed: Linear = (name, input, options) => {
        inputs.set(name, input);
        return execute(name, input, options);
      };
      return { inputs, output: model.block(state, weights, observed, context, index) };
    };
    const passes = {
      float: pass(x.float, floatBlock.weights, floatLinear),
      quantized: pass(x.quantized, quantizedBlock.weights, quantizedLinear),
    };
    const outputBias = positionBias(blockName);
    if (outputBias !== undefined) {
      passes.quantized.output = addPositionBias(device, passes.quantized.output, outputBias);
    }
    for (const { name } of model.linears) {
      const [weights, changed] = [floatLinear(name), quantizedLinear(name)];
      const ownInputs = found(passes[paths.inputs].inputs, name);
      const y = device.matmul(found(passes[paths.target].inputs, name), weights.weight);
      const difference = device.subtract(y, device.matmul(ownInputs, changed.weight));
      const bias = device.subtract(present(weights.bias), present(changed.bias));
      const { positionBias: added } = changed;
      const compensated = device.add(difference, bias);
      const { square: energy } = await averages(device.matmul(ownInputs, weights.weight));
      const withBias = await averages(
        added === undefined
          ? compensated
          : addPositionBias(device, compensated, device.scale(added, -1)),
      );
      linears.set(`${blockName}.${name}`, {
        energy,
        error: (await averages(difference)).square / energy,
        errorWithBias: withBias.square / energy,
        residualMean: withBias.meanSquare / energy,
      });
    }
    x = { float: passes.float.output, quantized: passes.quantized.output };
    const { square, meanSquare } = await averages(device.subtract(x.float, x.quantized));
    outputs.push({ error: square, mean: meanSquare });
  }
  return { linears, outputs };
}

/** E‖v‖² and ‖E[v]‖² over the rows v. */
async function averages(tensor: Tensor): Promise<{ square: number; meanSquare: number }> {
  const { rows, cols } = tensor;
  const values = await tensor.readFloat32();
  const sums = new Float64Array(cols);
  let square = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    square += value * value;
    sums[i % cols] = (sums[i % cols] ?? Number.NaN) + value;
  }
  const meanSquare = sums.reduce((total, sum) => total + (sum / rows) ** 2, 0);
  return { square: square / rows, meanSquare };
}

function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`No ${name}.`);
  return value;
}

function present(bias: Tensor | undefined): Tensor {
  if (bias === undefined) throw new Error('The models compared here have biases.');
  return bias;
}
