// gpt-oss (arXiv 2508.10925): the gated decoder with biases in every linear, experts' too, clamped gates, a sink in each head's
// softmax, and windows in every other block.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { withBias } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readExperts } from '../read-experts.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';
import { type RotarySizes, rotaryOf } from '../read-rotary.js';

export const gptOss: Architecture = {
  modelType: 'gpt_oss',
  read(config, tensors) {
    const reader = new ConfigReader(config);
    reader.only('hidden_act', 'silu');
    const decoder = readGatedDecoder(reader, 'gpt_oss', {
      headSize: 64,
      eps: 1e-5,
      readRotary: (sizes) => readYarn(reader, sizes),
    });
    const fields = {
      count: [reader.alias('num_local_experts', 'num_experts'), 128],
      perToken: ['num_experts_per_tok', 4],
    } as const;
    const mixture = readExperts(reader, decoder, fields, {
      size: decoder.mlpSize,
      router: { weight: 'mlp.router.weight', logitBias: 'mlp.router.bias' },
      scoring: 'softmax',
      normalized: true,
      paired: {
        name: 'gate_up_proj',
        biases: withBias,
        clamped: {
          slope: reader.positive('swiglu_alpha', 1.702),
          limit: reader.positive('swiglu_limit', 7),
        },
      },
    });
    const window = reader.positiveOrNull('sliding_window', 128);
    return gatedDecoder(
      {
        ...decoder,
        ...readBiases(reader, { mlp: false, attention: true }),
        sinks: true,
        windows: readWindows(reader, decoder.blocks, window, (index) => index % 2 === 0),
        mixture,
      },
      tensors,
    );
  },
};

/** Of its class, where config.json says nothing of rotary positions. */
const usualYarn = {
  rope_type: 'yarn',
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};

function readYarn(reader: ConfigReader, sizes: RotarySizes) {
  const section = reader.alias('rope_scaling', 'rope_parameters');
  const parameters = reader.object(section) ?? new ConfigReader(usualYarn);
  for (const kind of ['full_attention', 'sliding_attention']) {
    parameters.absent(kind, 'the same parameters as all blocks');
  }
  return rotaryOf(reader, parameters, { ...sizes, base: 150_000 });
}
