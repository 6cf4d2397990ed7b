// What linears alone read is made in bfloat16 where products are: in every architecture, and without changing a digit of
// what its blocks give, since the products would round it in any case.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type OperandType, type Tensor } from '../../lib/device/index.js';
import {
  blockRunner,
  executor,
  type LoadedBlock,
  linearOf,
  loadBlock,
  loadWeights,
} from '../../lib/execution/index.js';
import {
  type BlockModel,
  type Linear,
  type Route,
  readVisionModel,
  shapeOf,
} from '../../lib/models/index.js';
import {
  variants as classifiers,
  directoryOf as directoryOfClassifier,
} from '../vision/fixtures.js';
import { directoryOf, openModel, readAs, routeOf, variants } from './tiny.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2, precision: 'bfloat16' });
});
afterAll(() => device.close());

const projections = ['q', 'k', 'v'].map((name) => `self_attn.${name}_proj`);
const beforeNorms = [...projections, 'mlp.gate_proj', 'mlp.up_proj'];
/** Linears that read hidden states as they are, or what a norm gives where that is a residual too. */
const readStates: Readonly<Record<string, readonly string[]>> = {
  'bloom-post-norm-6-heads': ['self_attention.query_key_value', 'mlp.dense_h_to_4h'],
  'opt-post-norm-projected': [...projections, 'fc1'],
  olmo2: beforeNorms,
  'olmo2-biases-yarn': beforeNorms,
  olmo3: beforeNorms,
  exaone4: beforeNorms,
  'exaone4-window': beforeNorms,
};

interface Subject {
  readonly checkpoint: Checkpoint;
  readonly model: BlockModel;
  /** Two samples for `embed`. */
  readonly input: () => Tensor;
  readonly sequence: number;
}

/** What a block makes of x, and which of its linears read something else than `operands`. */
function runBlock(
  { model, sequence }: Subject,
  block: LoadedBlock,
  index: number,
  x: Tensor,
  operands: OperandType,
  route: Route | undefined,
) {
  const others: string[] = [];
  const plain = executor(device, (name) => linearOf(block, name));
  const run = blockRunner(model, block.weights, { device, sequence, operands }, index);
  const watched: Linear = (name, input, options) => {
    if (input.dtype !== operands) others.push(name);
    return plain(name, input, options);
  };
  const y = device.scope(() => run(x, watched, { route }));
  return { y, others };
}

async function expectSameDigits(subject: Subject, others: readonly string[]): Promise<void> {
  const { checkpoint, model, input, sequence } = subject;
  using embedding = await loadWeights(device, checkpoint, model.embedTensors);
  let x = device.scope(() => model.embed(input(), embedding, { device, sequence }));
  for (let index = 0; index < model.blocks; index++) {
    using block = await loadBlock(device, readAs(model, checkpoint), model, index);
    const route = await routeOf(shapeOf(model, index), (toRouter) => {
      const plain = executor(device, (name) => linearOf(block, name));
      const run = blockRunner(model, block.weights, { device, sequence }, index);
      run(x, plain, { route: toRouter });
    });
    const expected = runBlock(subject, block, index, x, 'float32', route);
    const received = runBlock(subject, block, index, x, 'bfloat16', route);
    expect(expected.others).toEqual([]);
    expect(received.others).toEqual(others);
    expect(await received.y.readFloat32()).toEqual(await expected.y.readFloat32());
    x = received.y;
  }
}

test.each(variants)('language model %s', async (variant) => {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const sequence = 6;
  const ids = Int32Array.from({ length: 2 * sequence }, (_, i) => (5 * i) % 16);
  const input = () => device.upload('int32', [ids.length], ids);
  const subject = { checkpoint, model: openModel(checkpoint), input, sequence };
  await expectSameDigits(subject, readStates[variant] ?? []);
});

describe('classifiers', () => {
  test.each(classifiers)('%s', async (variant) => {
    const checkpoint = await Checkpoint.open(directoryOfClassifier(variant));
    const model = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
    const { channels, height, width } = model.image;
    const pixels = Float32Array.from({ length: 2 * channels * height * width }, (_, i) =>
      Math.sin(7 * i),
    );
    const input = () => device.upload('float32', [pixels.length], pixels);
    await expectSameDigits({ checkpoint, model, input, sequence: model.sequence }, []);
  });
});
