// Which of llama.cpp's architectures computes what a model type does. 'llama', with its optional biases, runs Helium, Mistral and
// Qwen2 exactly: they are LLaMA with a window, with biases in three linears, or with other pairs of channels. Source:
// llama.cpp's models and gguf-py's constants.

import type { GgufArchitecture, GgufExperts } from './architecture.js';
import { deepstackMetadata, positionSections } from './image-positions.js';
import { bool } from './metadata.js';
import type { Outline } from './outline.js';

const llama: GgufArchitecture = { name: 'llama', pairs: 'neighbours', rotaryFactors: 'one' };

const commandR: GgufArchitecture = {
  name: 'command-r',
  pairs: 'neighbours',
  head: 'embedding',
  square: true,
  constants: { logitScale: { key: 'logit_scale' } },
};

const gemma: GgufArchitecture = {
  name: 'gemma',
  pairs: 'halves',
  activation: 'gelu_tanh',
  head: 'embedding',
  constants: { embeddingScale: ({ shape }) => shape.hiddenSize ** 0.5 },
};

/** With a bias in every linear; GPT-2, without positions that turn. */
const gpt2: GgufArchitecture = {
  name: 'gpt2',
  pairs: 'halves',
  activation: 'gelu_tanh',
  square: true,
  needsBiases: true,
};

/** The largest model, told by its number of blocks, divides by the share of the hidden size that a head has. */
const gemmaScale =
  (largest: number) =>
  ({ blocks, shape: { hiddenSize, heads, headSize } }: Outline) =>
    (blocks === largest ? Math.floor(hiddenSize / heads) : headSize) ** -0.5;

const gemma3: GgufArchitecture = {
  ...gemma,
  name: 'gemma3',
  windows: true,
  turns: (_, slides) => (slides ? 'local' : 'all'),
  local: 'base',
  constants: {
    ...gemma.constants,
    scale: gemmaScale(62),
    logitCap: { key: 'final_logit_softcapping' },
  },
};

const olmo2: GgufArchitecture = { name: 'olmo2', pairs: 'halves', head: 'own', square: true };

const mistral3: GgufArchitecture = { ...llama, name: 'mistral3', queryScale: true };

const qwen2Vl: GgufArchitecture = {
  name: 'qwen2vl',
  pairs: 'halves',
  square: true,
  metadata: positionSections,
};

/** Experts after dense blocks, with all that metadata can say of how they are chosen. */
const balanced: GgufExperts = {
  scoring: 'metadata',
  normalized: 'metadata',
  scaled: true,
  afterDense: true,
};

const glm4Moe: GgufArchitecture = {
  name: 'glm4moe',
  pairs: 'halves',
  partialRotary: true,
  mlpNorm: 'post_attention_norm',
  experts: balanced,
};

/** By model type. */
export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  bloom: { ...gpt2, name: 'bloom' },
  cohere: commandR,
  cohere2: {
    ...commandR,
    name: 'cohere2',
    windows: true,
    turns: (_, slides) => (slides ? 'all' : 'none'),
  },
  dots1: {
    name: 'dots1',
    pairs: 'halves',
    head: 'own',
    noSharedKeys: true,
    experts: { ...balanced, needsShared: true },
  },
  ernie4_5: { name: 'ernie4_5', pairs: 'neighbours' },
  ernie4_5_moe: {
    name: 'ernie4_5-moe',
    pairs: 'neighbours',
    experts: { scoring: 'softmax', normalized: true, afterDense: true },
  },
  exaone4: {
    name: 'exaone4',
    pairs: 'halves',
    square: true,
    windows: 64,
    turns: (_, slides, anySlides) => (slides || !anySlides ? 'all' : 'none'),
    rotaryFactors: 'one',
  },
  gemma,
  gemma2: {
    ...gemma,
    name: 'gemma2',
    windows: true,
    constants: {
      ...gemma.constants,
      scale: gemmaScale(46),
      attentionCap: { key: 'attn_logit_softcapping', positive: true },
      logitCap: { key: 'final_logit_softcapping', positive: true },
    },
  },
  gemma3,
  gemma3_text: gemma3,
  glm: { name: 'chatglm', pairs: 'neighbours', square: true, partialRotary: true },
  glm4: { name: 'glm4', pairs: 'neighbours', partialRotary: true },
  glm4_moe: glm4Moe,
  gpt2,
  gpt_bigcode: { ...gpt2, name: 'starcoder' },
  gpt_neox: {
    ...{ ...gpt2, name: 'gptneox', head: 'own', partialRotary: true },
    metadata: ({ parallel }) => ({ use_parallel_residual: bool(parallel) }),
  },
  granite: {
    ...llama,
    name: 'granite',
    constants: {
      scale: { key: 'attention.scale', positive: true },
      embeddingScale: { key: 'embedding_scale', positive: true },
      residualScale: { key: 'residual_scale', positive: true },
      logitScale: { key: 'logit_scale', inverse: true },
    },
  },
  helium: llama,
  llama,
  minimax_m2: {
    name: 'minimax-m2',
    pairs: 'halves',
    head: 'own',
    partialRotary: true,
    experts: { scoring: 'metadata', normalized: true },
  },
  ministral: llama,
  ministral3: mistral3,
  mistral: llama,
  mistral3,
  mixtral: { ...llama, experts: { scoring: 'softmax', normalized: true } },
  olmo2,
  olmo3: {
    ...olmo2,
    windows: true,
    turns: (_, slides) => (slides ? 'local' : 'all'),
    local: 'unstretched',
  },
  olmoe: {
    name: 'olmoe',
    pairs: 'halves',
    head: 'own',
    noSharedKeys: true,
    experts: { scoring: 'softmax', normalized: false },
  },
  phi: { ...gpt2, name: 'phi2', head: 'own', partialRotary: true },
  phi3: {
    name: 'phi3',
    pairs: 'halves',
    square: true,
    partialRotary: true,
    rotaryFactors: 'short and long',
  },
  qwen2: llama,
  qwen2_5_vl: qwen2Vl,
  qwen2_moe: {
    name: 'qwen2moe',
    pairs: 'halves',
    head: 'own',
    experts: { scoring: 'softmax', normalized: false, needsShared: true },
  },
  qwen2_vl: qwen2Vl,
  qwen3: { name: 'qwen3', pairs: 'halves' },
  qwen3_moe: {
    name: 'qwen3moe',
    pairs: 'halves',
    experts: { scoring: 'softmax', normalized: true },
  },
  qwen3_vl: { name: 'qwen3vl', pairs: 'halves', metadata: deepstackMetadata },
  seed_oss: { name: 'seed_oss', pairs: 'halves', mlpNorm: 'post_attention_norm' },
  smollm3: {
    name: 'smollm3',
    pairs: 'neighbours',
    turns: (index) => ((index + 1) % 4 === 0 ? 'none' : 'all'),
  },
  solar_open: glm4Moe,
  stablelm: {
    name: 'stablelm',
    pairs: 'halves',
    head: 'own',
    square: true,
    partialRotary: true,
  },
  starcoder2: { ...gpt2, name: 'starcoder2' },
};
