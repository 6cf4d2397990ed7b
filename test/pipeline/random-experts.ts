// A small random mixture of experts, and the options that tests quantize it with.

import { expect } from 'vitest';
import { evaluate, type RunReport, verify } from '../../lib/index.js';
import { randomLlama } from '../export/random-llama.js';
import { shortTestText } from '../places.js';

/** One dense block, then two of six experts and one that all tokens go through. */
const shared = {
  model_type: 'qwen2_moe',
  architectures: ['Qwen2MoeForCausalLM'],
  num_hidden_layers: 3,
  mlp_only_layers: [0],
  num_experts: 6,
  num_experts_per_tok: 2,
  moe_intermediate_size: 32,
  shared_expert_intermediate_size: 64,
};

/** The directory of its checkpoint. */
export const randomExperts = async () => (await randomLlama(shared, 'float32', 0.2)).directory;

export const run = {
  bits: 4,
  groupSize: 32,
  samples: 8,
  sequenceLength: 64,
  heldOut: 0.25,
} as const;

/** The directory of one whose fourth and last expert is never chosen: its router's bias says so. */
export async function withoutLast(): Promise<string> {
  const balanced = {
    ...{ model_type: 'glm4_moe', architectures: ['Glm4MoeForCausalLM'], head_dim: 16 },
    ...{ n_routed_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32 },
    ...{ n_shared_experts: 1, first_k_dense_replace: 1 },
  };
  const { directory } = await randomLlama(balanced, 'float32', 0.2, (name, values) => {
    if (name.endsWith('correction_bias')) values[3] = -10;
  });
  return directory;
}

export const evaluation = { texts: [shortTestText], sequenceLength: 64 };

/** No bias does harm, files hold what was quantized, and the result is near the float model. */
export async function expectNear(model: string, directory: string, { layers }: RunReport) {
  for (const { error, errorWithBias } of layers) {
    expect(error).toBeLessThan(0.1);
    expect(errorWithBias).toBeLessThanOrEqual(error);
  }
  expect(await verify(directory)).toMatchObject({ linears: layers.length });
  const [float, quantized] = [
    await evaluate(model, evaluation),
    await evaluate(directory, evaluation),
  ];
  const ratio = (quantized.results[0]?.perplexity ?? 0) / (float.results[0]?.perplexity ?? 0);
  expect(Math.abs(ratio - 1)).toBeLessThan(0.2);
}
