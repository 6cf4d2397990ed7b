// Gradients of the loss with respect to each block's output, which searches for ranges weigh errors by
// (arXiv 2111.12293). The loss is the cross-entropy of labels drawn from the model's own predictions: its squared
// gradients are, in expectation, the diagonal of the Fisher information, and calibration images need no labels. One
// mini-batch is enough for a search, so memory holds one tensor of its hidden states for each block.

import { Random } from '../../calibration/random.js';
import type { Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { blockRunner, executor, linearOf, loadBlock, loadWeights } from '../../execution/index.js';
import type { BlockModel, VisionModel } from '../../models/index.js';
import type { Run } from '../run.js';

export class LossGradients implements Disposable {
  #outputs: Tensor[] = [];

  /** With respect to the output of block `index`; `x` is that mini-batch before it. The caller disposes it. */
  async take(run: Run, index: number, x: Tensor): Promise<Tensor> {
    if (index === 0) this.#outputs = await outputGradients(run, expectGradients(run.model), x);
    const gradient = this.#outputs[index];
    if (gradient === undefined) throw new RangeError(`No gradient at block ${index}.`);
    return gradient;
  }

  [Symbol.dispose](): void {
    for (const gradient of this.#outputs) gradient.dispose();
    this.#outputs = [];
  }
}

/** Error: ERR_UNSUPPORTED for a model whose blocks cannot be run backwards. */
export function expectGradients(model: BlockModel): VisionModel {
  if ('blockGradient' in model) return model as VisionModel;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected an image classifier for a search by hessian, which needs gradients, but received ${model.modelType}; ` +
      'choose cosine.',
  );
}

async function outputGradients(run: Run, model: VisionModel, first: Tensor): Promise<Tensor[]> {
  const { device, checkpoint, context, throwIfAborted } = run;
  const states: Tensor[] = [first];
  const gradients: Tensor[] = [];
  try {
    // 1. Forward; `states[i]` enters block i.
    for (let index = 0; index < model.blocks; index++) {
      throwIfAborted();
      using block = await loadBlock(device, checkpoint, model, index);
      const runBlock = blockRunner(model, block.weights, context, index);
      const x = states[index] as Tensor;
      const linear = executor(device, (name) => linearOf(block, name));
      states.push(device.scope(() => runBlock(x, linear)));
      await device.synchronize();
    }
    // 2. Backward.
    gradients[model.blocks - 1] = await lossGradient(run, model, states.at(-1) as Tensor);
    for (let index = model.blocks - 1; index > 0; index--) {
      throwIfAborted();
      using block = await loadBlock(device, checkpoint, model, index);
      const find = (name: string) => linearOf(block, name);
      const [x, outer] = [states[index] as Tensor, gradients[index] as Tensor];
      const linear = executor(device, find);
      const weightOf = (name: string) => find(name).weight;
      gradients[index - 1] = device.scope(
        () => model.blockGradient(x, block.weights, linear, weightOf, outer, context, index).input,
      );
      await device.synchronize();
    }
    return gradients;
  } catch (error) {
    for (const gradient of gradients) gradient?.dispose();
    throw error;
  } finally {
    for (const state of states.slice(1)) state.dispose();
  }
}

/** With respect to the last hidden states. */
async function lossGradient(run: Run, model: VisionModel, x: Tensor): Promise<Tensor> {
  const { device, checkpoint, context, options } = run;
  using head = await loadWeights(device, checkpoint, model.headTensors);
  using logits = device.scope(() => model.head(x, head, context));
  const values = await logits.readFloat32();
  const random = new Random(options.seed);
  const { classes } = model;
  for (let row = 0; row < values.length; row += classes) {
    predictionError(values.subarray(row, row + classes), random);
  }
  const gradient = device.scope(() =>
    model.headGradient(x, head, device.upload('float32', logits.shape, values), context),
  );
  await device.synchronize();
  return gradient;
}

/** Logits become softmax − onehot(y), y drawn from the softmax. */
function predictionError(logits: Float32Array, random: Random): void {
  const top = Math.max(...logits);
  let sum = 0;
  for (const [i, logit] of logits.entries()) {
    logits[i] = Math.exp(logit - top);
    sum += logits[i] ?? 0;
  }
  let left = (random.below(2 ** 24) / 2 ** 24) * sum;
  let label = 0;
  while (label < logits.length - 1 && left >= (logits[label] ?? 0)) left -= logits[label++] ?? 0;
  for (const i of logits.keys()) logits[i] = (logits[i] ?? 0) / sum - (i === label ? 1 : 0);
}
