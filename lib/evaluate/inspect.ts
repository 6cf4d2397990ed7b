// What a model directory holds, from config.json and the headers of its weight files alone: no weight is read, no
// device opened. Of a model that this library wrote, ballast.json says how it was made.

import { join } from 'node:path';
import { readJsonObject } from '../checkpoint/bounded-json.js';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { quantizationMethod } from '../checkpoint/float-weights.js';
import {
  type DownloadEvent,
  type FetchOptions,
  fetchModel,
} from '../checkpoint/hub/fetch-model.js';
import { reportFile } from '../checkpoint/output/result-files.js';
import { describeResult } from '../export/index.js';
import {
  type BlockModel,
  countLinears,
  isLanguageModel,
  type LanguageModel,
  readBlockModel,
  shapeOf,
} from '../models/index.js';
import { checkOptions, isFunction, isSignal, isString } from '../option-checks.js';

export interface Inspection {
  /** As it was passed. */
  readonly model: string;
  readonly directory: string;
  readonly modelType: string;
  readonly blocks: number;
  readonly hiddenSize: number;
  /** Of a language model. */
  readonly vocabularySize?: number;
  /** The longest sequence; absent where the model has no limit. */
  readonly maxPositions?: number;
  /** Linears inside blocks: what a quantization works on. */
  readonly linears: number;
  /** Weights of those linears. */
  readonly linearParameters: number;
  /** Elements of all tensors as the files hold them: a byte of two MXFP4 codes is one. */
  readonly parameters: number;
  readonly tensors: number;
  /** Element types, the most frequent first; of a GGUF file block types too, such as Q4_0. */
  readonly dtypes: readonly string[];
  /** Bytes of all tensors. */
  readonly bytes: number;
  /** Of a result that is no checkpoint: the file that holds its weights. */
  readonly file?: string;
  /** What that file's header says besides tensors, as far as it is single values. */
  readonly metadata?: Readonly<Record<string, string | number | boolean>>;
  /** How the weights are quantized, as config.json says, by whatever tool; absent where they are float. */
  readonly quantizationMethod?: string;
  /** The content of ballast.json, for a model that this library wrote. */
  readonly quantization?: Readonly<Record<string, unknown>>;
}

export interface InspectOptions extends FetchOptions {
  readonly onProgress?: (event: DownloadEvent) => void;
}

/**
 * Summarizes a model directory or hub id, or a result of any format. Errors: ERR_ARGUMENT for an option, ERR_CHECKPOINT for a
 * damaged checkpoint, ERR_UNSUPPORTED for an unknown model type, and those of fetching.
 *
 *     const { modelType, parameters } = await inspect('./model');
 */
export async function inspect(model: string, options: InspectOptions = {}): Promise<Inspection> {
  checkOptions(options, { token: isString, signal: isSignal, onProgress: isFunction });
  const directory = await fetchModel(model, options, options.onProgress);
  const { config, names, tensors, ...file } = await readHeaders(directory);
  const definition = readBlockModel(config, names);
  const quantization = await readJsonObject(join(directory, reportFile));
  const method = quantizationMethod(config);
  const { modelType, blocks, hiddenSize } = definition;
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    model,
    directory,
    modelType,
    blocks,
    hiddenSize,
    ...(isLanguageModel(definition) ? languageFields(definition) : {}),
    linears: countLinears(definition),
    linearParameters: linearParameters(definition),
    parameters: sum(tensors.map(({ shape }) => shape.reduce((product, size) => product * size, 1))),
    tensors: tensors.length,
    dtypes: byFrequency(tensors.map(({ dtype }) => dtype)),
    bytes: sum(tensors.map(({ bytes }) => bytes)),
    ...file,
    ...(method === undefined ? {} : { quantizationMethod: method }),
    ...(quantization === undefined ? {} : { quantization }),
  };
}

async function readHeaders(directory: string) {
  const described = await describeResult(directory);
  if (described !== undefined) return described;
  const { config, tensors } = await Checkpoint.open(directory);
  return { config, names: new Set(tensors.keys()), tensors: [...tensors.values()] };
}

function languageFields({ vocabularySize, maxPositions }: LanguageModel) {
  return { vocabularySize, ...(Number.isFinite(maxPositions) ? { maxPositions } : {}) };
}

function linearParameters(model: BlockModel): number {
  let total = 0;
  for (let index = 0; index < model.blocks; index++) {
    for (const { inChannels, outChannels } of shapeOf(model, index).linears) {
      total += inChannels * outChannels;
    }
  }
  return total;
}

function byFrequency(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([name]) => name);
}
