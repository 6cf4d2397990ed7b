// Gemma 4, the language model: Gemma 3 with norms on values too and no scale on scores; blocks that see all tokens have heads of
// a size and rotary positions of their own, and may take keys for values. What each block gives is multiplied by one number.
// Experts, where there are some, stand beside the plain MLP.

import { BallastError } from '../../errors.js';
import { type AttentionShape, readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { type Experts, usualNames } from '../experts.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { readGemmaDecoder } from '../gemma-decoder.js';
import type { Architecture } from '../model.js';
import { readExperts } from '../read-experts.js';
import { type RotarySizes, rotaryOf } from '../read-rotary.js';
import type { Rotary } from '../rotary.js';

export const gemma4Text: Architecture = {
  modelType: 'gemma4_text',
  read: (config, tensors) =>
    gatedDecoder(readGemma4Decoder(new ConfigReader(config), 'gemma4_text'), tensors),
};

export function readGemma4Decoder(reader: ConfigReader, modelType: string): GatedDecoder {
  expectPlainBlocks(reader);
  const rotary = rotaryReader(reader);
  const decoder = readGemmaDecoder(reader, modelType, {
    readRotary: (sizes) => rotary('sliding_attention', sizes),
    bidirectional: 'vision',
  });
  const { blocks, maxPositions, norm } = decoder;
  const windows = readGemma4Windows(reader, blocks);
  const attentionShapes = readShapes(reader, decoder.shape, windows);
  const keysAsValues = reader.boolean('attention_k_eq_v', false);
  return {
    ...decoder,
    scale: 1,
    windows,
    attentionShapes,
    keysAsValues: windows.map((tokens) => tokens === 0 && keysAsValues),
    rotaries: attentionShapes.map(({ headSize }, index) =>
      rotary(kindOf(windows[index]), { headSize, maxPositions }),
    ),
    queryKeyNorms: 'heads',
    valueNorms: true,
    norm: { kind: 'rms', eps: norm.eps, offset: 0 },
    blockScale: 'layer_scalar',
    logitCap: reader.positiveOrNone('final_logit_softcapping'),
    mixture: readMixture(reader, decoder),
  };
}

/** What the smaller sizes have besides. */
function expectPlainBlocks(reader: ConfigReader): void {
  const perLayer = 'hidden_size_per_layer_input';
  if (reader.countOrNone(perLayer, 256) > 0) throw reader.unsupported(perLayer, '0');
  reader.only('num_kv_shared_layers', 0);
}

/** In every block or none, beside the plain MLP. */
function readMixture(reader: ConfigReader, decoder: GatedDecoder): Experts | undefined {
  if (!reader.boolean('enable_moe_block', false)) return undefined;
  const fields = { count: ['num_experts'], perToken: ['top_k_experts'] } as const;
  return readExperts(reader, decoder, fields, {
    size: reader.count('moe_intermediate_size'),
    router: {
      weight: 'router.proj.weight',
      norm: { weight: 'router.scale', eps: decoder.norm.eps },
      expertScales: 'router.per_expert_scale',
    },
    scoring: 'softmax',
    normalized: true,
    joined: true,
    names: { ...usualNames, list: 'experts' },
    shared: { name: 'mlp', size: decoder.mlpSize },
    norms: {
      input: 'pre_feedforward_layernorm_2',
      output: 'post_feedforward_layernorm_2',
      shared: 'post_feedforward_layernorm_1',
    },
  });
}

type Kind = 'sliding_attention' | 'full_attention';

const kindOf = (window: number | undefined): Kind =>
  window === 0 ? 'full_attention' : 'sliding_attention';

/** Those of one kind and size of heads are one object: it keeps the tables that it has made. */
function rotaryReader(reader: ConfigReader): (kind: Kind, sizes: RotarySizes) => Rotary {
  const parameters = reader.object('rope_parameters') ?? new ConfigReader(usualRotary);
  const made = new Map<string, Rotary>();
  return (kind, sizes) => {
    const key = `${kind} ${sizes.headSize}`;
    const found = made.get(key) ?? rotaryOf(reader, parameters.section(kind), sizes);
    made.set(key, found);
    return found;
  };
}

const usualRotary = {
  sliding_attention: { rope_theta: 1e4 },
  full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1e6 },
};

/** The class lets the last block see all tokens, whatever a list says. */
function readGemma4Windows(reader: ConfigReader, blocks: number): readonly number[] {
  const window = reader.count('sliding_window', 512);
  const windows = readWindows(reader, blocks, window, (index) => (index + 1) % 6 !== 0);
  return [...windows.slice(0, -1), 0];
}

/** Block by block, as version 5 of transformers writes it, or else by fields for all blocks that see all tokens. */
function readShapes(
  reader: ConfigReader,
  shape: AttentionShape,
  windows: readonly number[],
): readonly AttentionShape[] {
  const byBlock = reader.object('per_layer_config');
  if (byBlock !== undefined) {
    return windows.map((_, index) => {
      const own = byBlock.object(`${index}`);
      for (const field of ['hidden_size', 'intermediate_size', 'num_attention_heads']) {
        own?.absent(field, 'none, as in the other blocks,');
      }
      return own === undefined ? shape : readShape(own, shape, 'head_dim', 'num_key_value_heads');
    });
  }
  const headsField = 'num_global_key_value_heads';
  const global = readShape(reader, shape, 'global_head_dim', headsField, 512);
  const isShared = reader.boolean('attention_k_eq_v', false);
  const { keyValueHeads } = isShared ? global : shape;
  return windows.map((tokens) => (tokens === 0 ? { ...global, keyValueHeads } : shape));
}

function readShape(
  reader: ConfigReader,
  shape: AttentionShape,
  sizeField: string,
  headsField: string,
  headSize = shape.headSize,
): AttentionShape {
  const keyValueHeads = reader.count(headsField, shape.keyValueHeads);
  if (shape.heads % keyValueHeads !== 0) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${headsField} to divide num_attention_heads in config.json but received ${keyValueHeads} and ${shape.heads}.`,
    );
  }
  return { ...shape, headSize: reader.count(sizeField, headSize), keyValueHeads };
}
