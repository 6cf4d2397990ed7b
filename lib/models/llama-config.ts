// A gated decoder in the words of LLaMA's config.json. LLaMA is the variant whose fields give every linear a bias, so
// written as LLaMA a model keeps biases that clients would not read under its own name. Exact where nothing but names
// and biases sets the two apart, and no query is ever further from a key than a sliding window reaches.

import { BallastError } from '../errors.js';
import type { GatedDecoder } from './gated-decoder.js';
import type { Config } from './model.js';

/** Throws ERR_UNSUPPORTED for a decoder whose windows are shorter than its longest sequence. */
export function llamaConfig(config: Config, decoder: GatedDecoder): Config {
  expectNoWindow(decoder);
  const { shape, norm, tiedHead, biases } = decoder;
  const {
    sliding_window: _window,
    use_sliding_window: _used,
    max_window_layers: _first,
    layer_types: _types,
    ...kept
  } = config;
  return {
    ...kept,
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    // What is absent has other defaults there.
    num_key_value_heads: shape.keyValueHeads,
    head_dim: shape.headSize,
    rms_norm_eps: norm.eps,
    tie_word_embeddings: tiedHead,
    attention_bias: biases.projections.bias || biases.output.bias,
    mlp_bias: biases.mlp.bias,
  };
}

function expectNoWindow({ modelType, windows, maxPositions }: GatedDecoder): void {
  const window = windows.find((tokens) => tokens > 0 && tokens < maxPositions);
  if (window === undefined) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a ${modelType} model without a sliding window to write it as llama, which has none, but in config.json ` +
      `one of ${window} tokens slides over ${maxPositions} positions; write it under its own architecture.`,
  );
}
