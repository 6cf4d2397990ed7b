// Gradients through head and blocks against torch: of a loss that weighs the logits, with respect to every block's input
// and every linear's output.

import { expect, it, onTestFinished } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import {
  executor,
  type LoadedBlock,
  loadBlock,
  loadWeights,
  uploadInput,
} from '../../lib/execution/index.js';
import { readVisionModel, shapeOf } from '../../lib/models/index.js';
import { describeDevices, float32 } from '../native/harness.js';
import { directoryOf, floatsOf, variants } from './fixtures.js';

describeDevices('gradients', ['cpu'], (kind) => {
  it.each(variants)('%s', { timeout: 600_000 }, async (variant) => {
    const device = Device.open(kind, { threads: 2 });
    onTestFinished(() => device.close());
    await compare(device, variant);
  });
});

async function compare(device: Device, variant: string): Promise<void> {
  const checkpoint = await Checkpoint.open(directoryOf(variant));
  const model = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const context = { device, sequence: model.sequence };
  const golden = (name: string) => floatsOf(`${directoryOf(variant)}/golden.safetensors`, name);
  const embedding = await loadWeights(device, checkpoint, model.embedTensors);
  const head = await loadWeights(device, checkpoint, model.headTensors);
  const blocks: LoadedBlock[] = [];
  for (let i = 0; i < model.blocks; i++) blocks.push(await loadBlock(device, checkpoint, model, i));

  const expectNear = async (name: string, actual: Tensor | undefined) => {
    const expected = await golden(`gradient.${name}`);
    const values = (await actual?.readFloat32()) ?? new Float32Array();
    expect(values.length, name).toBe(expected.length);
    const difference = Math.hypot(...values.map((value, i) => value - (expected[i] ?? 0)));
    expect(difference / Math.hypot(...expected), name).toBeLessThan(1e-4);
  };

  const weightsOf = (index: number) => (name: string) => {
    const found = blocks[index]?.linears.get(name);
    if (found === undefined) throw new Error(`No linear ${name}.`);
    return found;
  };
  const states = [model.embed(uploadInput(device, await golden('pixels')), embedding, context)];
  for (const [index, block] of blocks.entries()) {
    const linear = executor(device, weightsOf(index));
    states.push(model.block(states[index] as Tensor, block.weights, linear, context, index));
  }
  const onLogits = float32(device, [3, model.classes], await golden('gradient.logits'));
  let gradient = model.headGradient(states.at(-1) as Tensor, head, onLogits, context);
  for (const [index, block] of [...blocks.entries()].reverse()) {
    const find = weightsOf(index);
    const { input, linears } = model.blockGradient(
      states[index] as Tensor,
      block.weights,
      executor(device, find),
      (name) => find(name).weight,
      gradient,
      context,
      index,
    );
    for (const { name } of shapeOf(model, index).linears)
      await expectNear(`${index}.${name}`, linears.get(name));
    await expectNear(`${index}.input`, input);
    gradient = input;
  }
}
