// Which biases survive: a table of (architecture, format, client). A bias that was fitted and then is not read makes a
// result worse than without it, and clients say little: vLLM skips what its model class does not own, transformers
// only warns. So what is compensated is decided here, before anything is fitted.
//
// Nothing that a client drops can be folded elsewhere exactly: an output projection's or MLP's bias would have to go
// through a norm, a gate's through a product; a value projection's could go into an output projection's, but no client
// reads that one and not the other.

import { BallastError } from '../errors.js';
import type { BlockModel, LinearSpec } from '../models/index.js';
import type { ExportInput } from './format.js';

/** What loads a result. */
export const clients = ['transformers', 'vllm', 'llama.cpp', 'onnxruntime'] as const;
export type Client = (typeof clients)[number];

/** Clients of each format, the one that is meant where nobody says first. */
const clientsOf: Readonly<Record<string, readonly Client[]>> = {
  huggingface: ['transformers', 'vllm'],
  'compressed-tensors': ['transformers', 'vllm'],
  gptq: ['transformers', 'vllm'],
  gguf: ['llama.cpp'],
  onnx: ['onnxruntime'],
};

/** Formats whose linears may all have biases, whatever the source's architecture allows. */
const formatsWithAnyBias: readonly string[] = ['gguf', 'onnx'];

/** Formats that hold what is computed, and so all that a run fits. */
const formatsThatCompute: readonly string[] = ['onnx'];

const attention = ['q', 'k', 'v', 'o'].map((name) => `self_attn.${name}_proj`);

/** Linears whose bias a client's model class does not own, though config.json announces it. */
const notOwned: Readonly<Record<string, Readonly<Partial<Record<Client, readonly string[]>>>>> = {
  gemma: { vllm: attention },
  olmo2: { vllm: attention },
  olmo3: { vllm: attention },
  qwen3: { vllm: ['self_attn.o_proj'] },
};

/** Architectures that a client has no class for, so that no result of them can be meant for it. */
const notLoaded: Readonly<Partial<Record<Client, readonly string[]>>> = {
  vllm: ['deit', 'swin', 'vit'],
};

export interface BiasCapability {
  readonly client: Client;
  /** Linears, by name inside the block, whose bias the client reads. */
  readonly read: ReadonlySet<string>;
  /** Those whose bias would be lost. */
  readonly dropped: readonly string[];
}

export function clientsFor(format: string): readonly Client[] {
  return clientsOf[format] ?? ['transformers'];
}

/** Error ERR_ARGUMENT for a client that does not read the format. */
export function expectClient(format: string, client: Client | undefined): void {
  const known = clientsFor(format);
  if (client === undefined || known.includes(client)) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected one of ${known.join(', ')} for client with format ${format} but received ${client}.`,
  );
}

/** Error ERR_UNSUPPORTED for a model that the client does not load. */
export function biasCapability(
  model: BlockModel,
  format: string,
  client: Client = clientsFor(format)[0] ?? 'transformers',
): BiasCapability {
  if (notLoaded[client]?.includes(model.modelType)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a model that ${client} loads but it has no class for ${model.modelType}; choose another client.`,
    );
  }
  const missing = notOwned[model.modelType]?.[client] ?? [];
  const read = model.linears
    .filter((spec) => mayHoldBias(format, spec) && !missing.includes(spec.name))
    .map(({ name }) => name);
  const dropped = model.linears.map(({ name }) => name).filter((name) => !read.includes(name));
  return { client, read: new Set(read), dropped };
}

/** What a run fits that lies beside the weights, where `ballast evaluate` alone reads it. */
export function readByUsAlone(
  format: string,
  { activationBits, compensation }: { activationBits: number; compensation: string },
): string[] {
  if (formatsThatCompute.includes(format)) return [];
  return [
    ...(activationBits > 0 ? ['quantized activations'] : []),
    ...(compensation === 'position' ? ['biases per position'] : []),
  ];
}

function mayHoldBias(format: string, { bias, biasByConfig = false }: LinearSpec): boolean {
  return bias || biasByConfig || formatsWithAnyBias.includes(format);
}

/** Whether a result has a bias tensor there, by the fields of its config.json. */
export function holdsBias({ addBiases }: ExportInput, spec: LinearSpec): boolean {
  return spec.bias || spec.zeroBias === true || (addBiases && spec.biasByConfig === true);
}

/**
 * The result's config.json, with the fields that announce biases the source did not have, and without `auto_map`, which
 * names files of code beside the source.
 */
export function resultConfig({ config, model, addBiases }: ExportInput): object {
  const { quantization_config: _replaced, auto_map: _code, ...kept } = config;
  return { ...kept, ...(addBiases ? model.biasFields : {}) };
}
