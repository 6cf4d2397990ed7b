// Checkpoints with random weights, for timing: the sizes are real, the tokenizer is the bundled example's, and what the model
// says does not matter.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SafetensorsWriter } from '../../dist/checkpoint/output/safetensors-writer.js';

const example = new URL('../../examples/model/', import.meta.url);

/** Which bits of a number are random, those of the others, and the number 1. */
const dtypes = {
  float16: { random: 0x83ff, fixed: 0x2400, one: 0x3c00 },
  bfloat16: { random: 0x807f, fixed: 0x3c80, one: 0x3f80 },
};

/** Small numbers around 0: random sign and mantissa, exponent 2^-6; large tensors repeat them. */
function randomHalves({ random, fixed }, count) {
  const halves = new Uint16Array(count);
  const period = Math.min(count, 1 << 22);
  let state = 12345;
  for (let i = 0; i < period; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    halves[i] = ((state >>> 16) & random) | fixed;
  }
  for (let at = period; at < count; at += period) {
    halves.set(halves.subarray(0, Math.min(period, count - at)), at);
  }
  return halves;
}

/** Writes a checkpoint of these tensors, [name, ...shape] each; weights of norms are 1. */
export async function writeRandomCheckpoint(directory, config, tensors) {
  mkdirSync(directory, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    cpSync(new URL(name, example), join(directory, name));
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const { dtype } = config;
  const plan = tensors.map(([name, ...shape]) => ({ name, dtype, shape }));
  const writer = await SafetensorsWriter.create(directory, plan);
  for (const { name, shape } of plan) {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const halves = name.endsWith('norm.weight')
      ? new Uint16Array(count).fill(dtypes[dtype].one)
      : randomHalves(dtypes[dtype], count);
    await writer.write(name, new Uint8Array(halves.buffer));
  }
  await writer.close();
  return directory;
}
