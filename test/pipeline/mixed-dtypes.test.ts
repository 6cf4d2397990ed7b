// Checkpoints whose biases are of another type than the weights beside them: a fitted bias is rounded once, to the type that
// the file has for it.

import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import { Device, type DType } from '../../lib/device/index.js';
import { verify } from '../../lib/index.js';
import { exampleModel, temporaryFolder } from '../places.js';
import { finish } from './runs.js';

/** The bundled model with the weights and biases of its linears in these types. */
async function example(weights: DType, biases: DType): Promise<string> {
  const directory = join(await temporaryFolder(), 'model');
  await mkdir(directory);
  for (const name of ['config.json', 'tokenizer.json']) {
    await copyFile(join(exampleModel, name), join(directory, name));
  }
  const checkpoint = await Checkpoint.open(exampleModel);
  const dtypeOf = (name: string, stored: DType) => {
    if (!/(_proj|fc\d)\.(weight|bias)$/.test(name)) return stored;
    return name.endsWith('.weight') ? weights : biases;
  };
  const plan = Array.from(checkpoint.tensors.values(), ({ name, shape, dtype }) => {
    return { name, shape, dtype: dtypeOf(name, dtype as DType) };
  });
  const writer = await SafetensorsWriter.create(directory, plan);
  const device = Device.open('cpu', { threads: 1 });
  for (const { name, dtype } of plan) {
    const bytes = await loadTensor(device, checkpoint, name, { dtype }).read();
    await writer.write(name, new Uint8Array(bytes));
  }
  device.close();
  await writer.close();
  return directory;
}

const run = { method: 'rtn', bits: 3, samples: 4, sequenceLength: 64, heldOut: 0 } as const;
const bias = 'model.decoder.layers.0.self_attn.q_proj.bias';

it.each([
  ['float16', 'bfloat16', 'bfloat16'],
  ['bfloat16', 'float16', 'float16'],
  ['float16', 'float32', 'float32'],
  // What is executed in float32 has a bias of float32.
  ['float32', 'float16', 'float32'],
] as const)('%s weights, %s biases', async (weights, biases, stored) => {
  const model = await example(weights, biases);
  for (const format of ['huggingface', 'compressed-tensors']) {
    const sites = ['linear', 'block'] as const;
    const { directory } = await finish(model, { ...run, format, sites });
    const { tensors } = await Checkpoint.open(directory);
    expect(tensors.get(bias)?.dtype).toBe(stored);
    expect(await verify(directory)).toMatchObject({ linears: 24 });
  }
});
