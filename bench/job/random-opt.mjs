// An OPT checkpoint of any width.
import { join } from 'node:path';
import { writeRandomCheckpoint } from './random-checkpoint.mjs';

const vocabulary = 8192;
const positions = 2048;

/** Writes the checkpoint and returns its directory. */
export async function writeRandomOpt(folder, { width, blocks }) {
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
  const root = 'model.decoder';
  const tensors = [
    [`${root}.embed_tokens.weight`, vocabulary, width],
    [`${root}.embed_positions.weight`, positions + 2, width],
  ];
  const norm = (name) => {
    for (const part of ['weight', 'bias']) tensors.push([`${name}.${part}`, width]);
  };
  const linear = (name, out, channels) => {
    tensors.push([`${name}.weight`, out, channels], [`${name}.bias`, out]);
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
  return writeRandomCheckpoint(join(folder, `opt-${width}x${blocks}`), config, tensors);
}
