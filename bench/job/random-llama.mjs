// A LLaMA checkpoint in bfloat16, by default with the sizes of LLaMA-3-8B (arXiv 2407.21783).
import { join } from 'node:path';
import { writeRandomCheckpoint } from './random-checkpoint.mjs';

export const llama8b = {
  hidden: 4096,
  mlp: 14336,
  heads: 32,
  keyValueHeads: 8,
  headSize: 128,
  vocabulary: 128256,
};

/** Writes the checkpoint and returns its directory. */
export async function writeRandomLlama(folder, { blocks, positions, shape = llama8b }) {
  const { hidden, mlp, heads, keyValueHeads, headSize, vocabulary } = shape;
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    dtype: 'bfloat16',
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: mlp,
    max_position_embeddings: positions,
    num_attention_heads: heads,
    num_hidden_layers: blocks,
    num_key_value_heads: keyValueHeads,
    head_dim: headSize,
    rms_norm_eps: 1e-5,
    rope_theta: 500000,
    tie_word_embeddings: false,
    vocab_size: vocabulary,
  };
  const linears = [
    ['self_attn.q_proj', heads * headSize, hidden],
    ['self_attn.k_proj', keyValueHeads * headSize, hidden],
    ['self_attn.v_proj', keyValueHeads * headSize, hidden],
    ['self_attn.o_proj', hidden, heads * headSize],
    ['mlp.gate_proj', mlp, hidden],
    ['mlp.up_proj', mlp, hidden],
    ['mlp.down_proj', hidden, mlp],
  ];
  const block = [...linears, ['input_layernorm', hidden], ['post_attention_layernorm', hidden]];
  const tensors = [['model.embed_tokens.weight', vocabulary, hidden]];
  for (let index = 0; index < blocks; index++) {
    for (const [name, ...sizes] of block) {
      tensors.push([`model.layers.${index}.${name}.weight`, ...sizes]);
    }
  }
  tensors.push(['model.norm.weight', hidden], ['lm_head.weight', vocabulary, hidden]);
  return writeRandomCheckpoint(join(folder, `llama-${hidden}x${blocks}`), config, tensors);
}
