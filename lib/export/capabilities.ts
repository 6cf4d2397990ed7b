// Which biases survive, by architecture, format and client. A bias that was fitted and then is not read makes a
// result worse than without it, and clients say little: vLLM skips what its model class does not own, transformers
// only warns. So what is compensated is decided here, before anything is fitted.
//
// Nothing that a client drops can be folded elsewhere exactly: an output projection's or MLP's bias would have to go
// through a norm, a gate's through a product; a value projection's could go into an output projection's, but no client
// reads that one and not the other.

import type { Client } from '../clients.js';
import { BallastError } from '../errors.js';
import { architectureOf, type BlockModel, type LinearSpec } from '../models/index.js';
import type { ExportFormat, ExportInput } from './format.js';

interface BiasCapability {
  readonly client: Client;
  /** Linears, by name inside the block, whose bias the client reads. */
  readonly read: ReadonlySet<string>;
  /** Those whose bias would be lost. */
  readonly dropped: readonly string[];
}

/** Error ERR_ARGUMENT for a client that does not read the format. */
export function expectClient({ name, clients }: ExportFormat, client: Client | undefined): void {
  if (client === undefined || clients.includes(client)) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected one of ${clients.join(', ')} for client with format ${name} but received ${client}.`,
  );
}

/** Error ERR_UNSUPPORTED for a model that the client does not load. */
export function biasCapability(
  model: BlockModel,
  format: ExportFormat,
  client: Client = format.clients[0],
): BiasCapability {
  const { notLoadedBy = [], packedNotLoadedBy = [], biasesNotRead = {} } = architectureOf(model);
  if (notLoadedBy.includes(client)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a model that ${client} loads but it has no class for ${model.modelType}; choose another client.`,
    );
  }
  if (!format.plain && packedNotLoadedBy.includes(client)) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a format that ${client} loads of ${model.modelType} but received ${format.name}; use format huggingface.`,
    );
  }
  const missing = biasesNotRead[client] ?? [];
  const read = model.linears
    .filter((spec) => mayHoldBias(format, spec) && !missing.includes(spec.name))
    .map(({ name }) => name);
  const dropped = model.linears.map(({ name }) => name).filter((name) => !read.includes(name));
  return { client, read: new Set(read), dropped };
}

/** What a run fits that lies beside the weights, where `ballast evaluate` alone reads it. */
export function readByUsAlone(
  { computes }: ExportFormat,
  { activationBits, compensation }: { activationBits: number; compensation: string },
): string[] {
  if (computes) return [];
  return [
    ...(activationBits > 0 ? ['quantized activations'] : []),
    ...(compensation === 'position' ? ['biases per position'] : []),
  ];
}

/** No client adds a bias to what experts give, where they have none of their own. */
function mayHoldBias({ holdsAnyBias }: ExportFormat, spec: LinearSpec): boolean {
  const { bias, biasByConfig, stage } = spec;
  return bias || biasByConfig === true || (holdsAnyBias === true && stage === undefined);
}

/** Whether a result has a bias tensor there, by the fields of its config.json. */
export function holdsBias({ addBiases }: ExportInput, spec: LinearSpec): boolean {
  return spec.bias || spec.zeroBias === true || (addBiases && spec.biasByConfig === true);
}

/**
 * The result's config.json, with the fields that announce biases the source did not have, under the name that clients know
 * the model by, and without `auto_map`, which names files of code beside the source.
 */
export function resultConfig({
  config,
  model,
  addBiases,
}: Pick<ExportInput, 'config' | 'model' | 'addBiases'>): object {
  const { quantization_config: _replaced, auto_map: _code, ...kept } = config;
  return { ...kept, model_type: model.modelType, ...(addBiases ? model.biasFields : {}) };
}
