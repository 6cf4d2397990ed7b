// The architectures this library knows: one line each.

import { BallastError } from '../errors.js';
import { bloom } from './architectures/bloom.js';
import { cohere } from './architectures/cohere.js';
import { cohere2 } from './architectures/cohere2.js';
import { deepseekV2 } from './architectures/deepseek-v2.js';
import { deepseekV3 } from './architectures/deepseek-v3.js';
import { deit } from './architectures/deit.js';
import { dots1 } from './architectures/dots1.js';
import { ernie45 } from './architectures/ernie4-5.js';
import { ernie45Moe } from './architectures/ernie4-5-moe.js';
import { exaone4 } from './architectures/exaone4.js';
import { gemma } from './architectures/gemma.js';
import { gemma2 } from './architectures/gemma2.js';
import { gemma3 } from './architectures/gemma3.js';
import { gemma3Text } from './architectures/gemma3-text.js';
import { gemma4 } from './architectures/gemma4.js';
import { gemma4Text } from './architectures/gemma4-text.js';
import { glm } from './architectures/glm.js';
import { glm4 } from './architectures/glm4.js';
import { glm4Moe } from './architectures/glm4-moe.js';
import { glm4MoeLite } from './architectures/glm4-moe-lite.js';
import { gptBigcode } from './architectures/gpt-bigcode.js';
import { gptNeox } from './architectures/gpt-neox.js';
import { gptOss } from './architectures/gpt-oss.js';
import { gpt2 } from './architectures/gpt2.js';
import { granite } from './architectures/granite.js';
import { helium } from './architectures/helium.js';
import { kimiK2 } from './architectures/kimi-k2.js';
import { llama } from './architectures/llama.js';
import { minimaxM2 } from './architectures/minimax-m2.js';
import { ministral } from './architectures/ministral.js';
import { ministral3 } from './architectures/ministral3.js';
import { mistral } from './architectures/mistral.js';
import { mistral3 } from './architectures/mistral3.js';
import { mixtral } from './architectures/mixtral.js';
import { olmo2 } from './architectures/olmo2.js';
import { olmo3 } from './architectures/olmo3.js';
import { olmoe } from './architectures/olmoe.js';
import { opt } from './architectures/opt.js';
import { phi } from './architectures/phi.js';
import { phi3 } from './architectures/phi3.js';
import { qwen2 } from './architectures/qwen2.js';
import { qwen25Vl } from './architectures/qwen2-5-vl.js';
import { qwen2Moe } from './architectures/qwen2-moe.js';
import { qwen2Vl } from './architectures/qwen2-vl.js';
import { qwen3 } from './architectures/qwen3.js';
import { qwen35 } from './architectures/qwen3-5.js';
import { qwen35Moe } from './architectures/qwen3-5-moe.js';
import { qwen35MoeText } from './architectures/qwen3-5-moe-text.js';
import { qwen35Text } from './architectures/qwen3-5-text.js';
import { qwen3Moe } from './architectures/qwen3-moe.js';
import { qwen3Next } from './architectures/qwen3-next.js';
import { qwen3Vl } from './architectures/qwen3-vl.js';
import { qwen3VlMoe } from './architectures/qwen3-vl-moe.js';
import { seedOss } from './architectures/seed-oss.js';
import { smollm3 } from './architectures/smollm3.js';
import { solarOpen } from './architectures/solar-open.js';
import { stablelm } from './architectures/stablelm.js';
import { starcoder2 } from './architectures/starcoder2.js';
import { swin } from './architectures/swin.js';
import { vit } from './architectures/vit.js';
import { ConfigReader } from './config-reader.js';
import type {
  Architecture,
  BlockModel,
  Config,
  LanguageModel,
  Rewrite,
  VisionModel,
} from './model.js';
import { unknownModelType } from './unknown-model-type.js';

export const architectures: readonly Architecture[] = [
  bloom,
  cohere,
  cohere2,
  deepseekV2,
  deepseekV3,
  dots1,
  ernie45,
  ernie45Moe,
  exaone4,
  gemma,
  gemma2,
  gemma3,
  gemma3Text,
  gemma4,
  gemma4Text,
  glm,
  glm4,
  glm4Moe,
  glm4MoeLite,
  gpt2,
  gptBigcode,
  gptNeox,
  gptOss,
  granite,
  helium,
  kimiK2,
  llama,
  minimaxM2,
  ministral,
  ministral3,
  mistral,
  mistral3,
  mixtral,
  olmo2,
  olmo3,
  olmoe,
  opt,
  phi,
  phi3,
  qwen2,
  qwen25Vl,
  qwen2Moe,
  qwen2Vl,
  qwen3,
  qwen35,
  qwen35Moe,
  qwen35MoeText,
  qwen35Text,
  qwen3Moe,
  qwen3Next,
  qwen3Vl,
  qwen3VlMoe,
  seedOss,
  smollm3,
  solarOpen,
  stablelm,
  starcoder2,
];

export const visionArchitectures: readonly Architecture<VisionModel>[] = [deit, swin, vit];

/** That of a model that was read. */
export function architectureOf({ modelType }: BlockModel): Architecture<BlockModel> {
  const known: readonly Architecture<BlockModel>[] = [...architectures, ...visionArchitectures];
  const found = known.find((architecture) => architecture.modelType === modelType);
  if (found === undefined) throw new RangeError(`No architecture is called ${modelType}.`);
  return found;
}

/** Whether a configuration is that of an image classifier. */
export function isVisionModel({ model_type: type }: Config): boolean {
  return visionArchitectures.some(({ modelType }) => modelType === type);
}

/**
 * The model of a configuration and the names of the checkpoint's tensors. Throws ERR_UNSUPPORTED for an unknown
 * `model_type` or variant, ERR_CHECKPOINT for a configuration that cannot be.
 */
export function readModel(config: Config, tensors: ReadonlySet<string>): LanguageModel {
  if (isVisionModel(config)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a language model but model_type ${config.model_type} in config.json is an image classifier, which ` +
        'works on images instead of texts.',
    );
  }
  const reader = new ConfigReader(config);
  // Whatever the class, transformers lets every token see all others then.
  for (const each of [reader, reader.object('text_config')]) each?.only('is_causal', true);
  return read(architectures, config, tensors);
}

/** The same for image classifiers. */
export function readVisionModel(config: Config, tensors: ReadonlySet<string>): VisionModel {
  const { model_type: type } = config;
  if (architectures.some(({ modelType }) => modelType === type)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected an image classifier but model_type ${type} in config.json is a language model, which works on texts instead ` +
        'of images.',
    );
  }
  return read(visionArchitectures, config, tensors);
}

/** The model of either kind, for what only moves hidden states through blocks. */
export function readBlockModel(config: Config, tensors: ReadonlySet<string>): BlockModel {
  return isVisionModel(config) ? readVisionModel(config, tensors) : readModel(config, tensors);
}

/**
 * A language model under another architecture that computes the same: its config.json, the model with the biases that
 * the checkpoint holds, and the parts that `tensors` must be taken apart into. Throws ERR_UNSUPPORTED where the two
 * differ in more than names.
 */
export function rewriteModel(
  config: Config,
  tensors: ReadonlySet<string>,
  modelType: string,
): Rewrite & { readonly model: LanguageModel } {
  const source = readModel(config, tensors);
  if (source.modelType === modelType) return { config, model: source };
  const known = architectures.find((architecture) => architecture.modelType === source.modelType);
  const rewrite = known?.rewrites?.[modelType];
  if (rewrite === undefined) {
    const others = architectures.filter(({ rewrites }) => rewrites?.[modelType] !== undefined);
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a model that can be written as ${modelType} exactly ` +
        `(${[modelType, ...others.map((other) => other.modelType)].join(', ')}) but received one of type ` +
        `${source.modelType}; write it under its own architecture.`,
    );
  }
  const { config: rewritten, parts = [] } = rewrite(config, tensors);
  const names = new Set([...tensors, ...parts.map(({ name }) => name)]);
  const target = readModel(rewritten, names);
  const held = new Set(source.linears.filter(({ bias }) => bias).map(({ name }) => name));
  const linears = target.linears.map((spec) => {
    const bias = held.has(spec.name);
    return { ...spec, bias, zeroBias: spec.bias && !bias };
  });
  return { config: rewritten, model: { ...target, linears }, parts };
}

export function isLanguageModel(model: BlockModel): model is LanguageModel {
  return 'vocabularySize' in model;
}

function read<Model extends BlockModel>(
  known: readonly Architecture<Model>[],
  config: Config,
  tensors: ReadonlySet<string>,
): Model {
  const type = config.model_type;
  const architecture = known.find(({ modelType }) => modelType === type);
  if (architecture === undefined) {
    throw unknownModelType(type, [...architectures, ...visionArchitectures]);
  }
  return architecture.read(config, tensors);
}
