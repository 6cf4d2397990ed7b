// An OPT checkpoint with random weights of any width, for timing: the sizes are real, the tokenizer is the bundled
// example's, and what the model says does not matter.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SafetensorsWriter } from '../../dist/checkpoint/safetensors-writer.js';

const example = new URL('../../examples/model/', import.meta.url);
const vocabulary = 8192;
const positions = 2048;

/** float16 bits of small numbers around 0: random sign and mantissa, exponents 2^-6 … 2^-5. */
function randomHalves(count) {
  const halves = new Uint16Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    halves[i] = ((state >>> 16) & 0x83ff) | 0x2400;
  }
  return halves;
}

/** Writes the checkpoint and returns its directory. */
export async function writeRandomModel(folder, { width, blocks }) {
  const directory = join(folder, `opt-${width}x${blocks}`);
  mkdirSync(directory, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    cpSync(new URL(name, example), join(directory, name));
  }
  const config = {
    architectures: ['OPTForCausalLM'],
    model_type: 'opt',
    activation_function: 'relu',
    do_layer_norm_before: true,
    dtype: 'float16',
    ffn_dim: 4 * width,
    hidden_size: width,
    max_position_embeddings: positions,
    num_attention_heads: width / 64,
    num_hidden_layers: blocks,
    tie_word_embeddings: true,
    vocab_size: vocabulary,
    word_embed_proj_dim: width,
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  const plan = [];
  const add = (name, ...shape) => plan.push({ name, dtype: 'float16', shape });
  const root = 'model.decoder';
  add(`${root}.embed_tokens.weight`, vocabulary, width);
  add(`${root}.embed_positions.weight`, positions + 2, width);
  const norm = (name) => {
    for (const part of ['weight', 'bias']) add(`${name}.${part}`, width);
  };
  const linear = (name, out, channels) => {
    add(`${name}.weight`, out, channels);
    add(`${name}.bias`, out);
  };
  for (let block = 0; block < blocks; block++) {
    const prefix = `${root}.layers.${block}`;
    for (const name of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) {
      linear(`${prefix}.self_attn.${name}`, width, width);
    }
    linear(`${prefix}.fc1`, 4 * width, width);
    linear(`${prefix}.fc2`, width, 4 * width);
    norm(`${prefix}.self_attn_layer_norm`);
    norm(`${prefix}.final_layer_norm`);
  }
  norm(`${root}.final_layer_norm`);
  const writer = await SafetensorsWriter.create(directory, plan);
  for (const { name, shape } of plan) {
    const halves = randomHalves(shape.reduce((product, extent) => product * extent, 1));
    await writer.write(name, new Uint8Array(halves.buffer));
  }
  await writer.close();
  return directory;
}
