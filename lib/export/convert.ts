// A finished run in another format, without calibrating again: codes, scales, zero points and biases are read back and
// written anew. Only where nothing has to change: a grid that the new format would round is refused, since biases were
// fitted on it as it is.

import { join } from 'node:path';
import { readJsonObject } from '../checkpoint/bounded-json.js';
import { Checkpoint } from '../checkpoint/checkpoint.js';
import { withFloatWeights } from '../checkpoint/float-weights.js';
import { type FetchOptions, fetchModel } from '../checkpoint/hub/fetch-model.js';
import { OutputDirectory } from '../checkpoint/output/output-directory.js';
import { reportFile } from '../checkpoint/output/result-files.js';
import type { Client } from '../clients.js';
import type { Device } from '../device/index.js';
import { BallastError } from '../errors.js';
import { openCompanions, runFiles } from '../execution/index.js';
import {
  type BlockModel,
  type Config,
  countLinears,
  readBlockModel,
  rewriteModel,
  shapeOf,
} from '../models/index.js';
import { biasCapability, expectClient } from './capabilities.js';
import { loadPositionBiases } from './companions.js';
import { expectCodes, expectGridHolds, expectNoBias, expectSameGrid } from './exactness.js';
import { openExport } from './export-writer.js';
import { recordFiles, verifyFiles } from './file-digests.js';
import type { ExportedLinear, ExportFormat, ExportWriter } from './format.js';
import { openWritten } from './joined-parts.js';
import { type OpenedResult, openResult } from './opened-result.js';
import { formats } from './registry.js';
import { disposeStored, expectDigest } from './verification.js';

interface Conversion {
  readonly device: Device;
  /** A result of this library. */
  readonly directory: string;
  readonly format: ExportFormat;
  /** What will load it; default the format's first. */
  readonly client?: Client | undefined;
  /** A model type to write the model as. */
  readonly architecture?: string | undefined;
  readonly output: string;
  readonly overwrite: boolean;
  readonly maxShardBytes: number;
  readonly embeddingBits: number;
  /** Called after each block; throws to stop. */
  readonly onBlock: (done: number, total: number) => void;
  /** Called between blocks, and pieces of files, that are read back; throws to stop. */
  readonly throwIfAborted: () => void;
  /** How a source that is named by a hub id is fetched. */
  readonly fetching: FetchOptions;
}

/**
 * Returns how many linears there are. Errors: ERR_CHECKPOINT for a damaged result, ERR_UNSUPPORTED for codes, a grid,
 * biases or a model that the format cannot take over exactly, ERR_ARGUMENT for the output, ERR_IO. After an error
 * nothing is left at `output`.
 */
export async function convert(conversion: Conversion): Promise<number> {
  const {
    device,
    directory,
    format,
    client,
    output: target,
    overwrite,
    maxShardBytes,
    embeddingBits,
  } = conversion;
  expectClient(format, client);
  const result = await openResult(device, directory, formats, { codes: true });
  await format.expectModel?.(result.model, result.config, result.record.grid);
  expectGridHolds(result.record.grid, format, client);
  const report = (await readJsonObject(join(directory, reportFile))) ?? {};
  const checkpoint = await restOfModel(result, conversion, report);
  const output = await OutputDirectory.create(target, { overwrite, source: directory });
  try {
    // What is copied, or read back as no linear, would pass for whole under digests of its own.
    await verifyFiles(directory, result, conversion.throwIfAborted);
    const { record } = result;
    const { model, config } = modelToWrite(conversion, result, checkpoint);
    const companions = await openCompanions({ directory }, model);
    const writer = await openExport(format, {
      device,
      checkpoint,
      model,
      config,
      output,
      grid: record.grid,
      addBiases: await hasUnannouncedBiases(result),
      dtypeOf: (block, linear) => record.blocks[block]?.[linear]?.dtype,
      maxShardBytes,
      embeddingBits,
      throwIfAborted: conversion.throwIfAborted,
    });
    try {
      for (let index = 0; index < model.blocks; index++) {
        const linears = await readBlock(conversion, result, model, index);
        try {
          using biases = loadPositionBiases(device, model, index, companions.biases);
          const activations = companions.activations[index];
          await writer.writeBlock({ index, linears, replaced: new Map(), activations, ...biases });
        } finally {
          for (const linear of linears.values()) disposeStored(linear);
        }
        conversion.onBlock(index + 1, model.blocks);
      }
      await finish(writer, result);
    } finally {
      await writer.abort();
    }
    await output.copyCompanions(directory, runFiles);
    const { modelType } = model;
    await output.writeJson(reportFile, {
      ...report,
      modelType,
      format: format.name,
      from: record.format,
    });
    await recordFiles(output, model, conversion.throwIfAborted);
    await output.commit();
    return countLinears(model);
  } finally {
    await output.discard();
  }
}

/** Where tensors that are no linears come from: the result, or the run's source where it is in no safetensors. */
async function restOfModel(
  { model: written }: OpenedResult,
  { directory, fetching }: Conversion,
  report: Readonly<Record<string, unknown>>,
): Promise<Checkpoint> {
  try {
    return await openWritten(directory, written);
  } catch (error) {
    const { model, fingerprint } = report;
    if (!(error instanceof BallastError) || typeof model !== 'string') throw error;
    const source = await openSource(model, directory, fetching);
    if ((await source.fingerprint()) === fingerprint) return sourceAs(source, written.modelType);
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${model} to be the model that ${directory} was made from, for this format does not hold all of its ` +
        'tensors as they were, but it has changed since.',
    );
  }
}

async function openSource(
  model: string,
  directory: string,
  fetching: FetchOptions,
): Promise<Checkpoint> {
  try {
    return await Checkpoint.open(await fetchModel(model, fetching));
  } catch (error) {
    if (!(error instanceof BallastError)) throw error;
    throw new BallastError(
      error.code,
      `Expected to find '${model}', the model that ${directory} was made from by its ${reportFile}, for this format does not ` +
        `hold all of its tensors as they were: ${error.message}`,
      { cause: error },
    );
  }
}

/** A run's source, taken apart as the architecture has it that the run wrote. */
function sourceAs(stored: Checkpoint, modelType: string): Checkpoint {
  const source = withFloatWeights(stored);
  const { config, tensors } = source;
  const names = new Set(tensors.keys());
  if (config.model_type === modelType) {
    return source.takenApart(readBlockModel(config, names).parts ?? []);
  }
  return source.takenApart(rewriteModel(config, names, modelType).parts ?? []);
}

/** The result's model with the tensors that `rest` has, under the architecture that was asked for. */
function modelToWrite(
  { architecture }: Conversion,
  { config }: OpenedResult,
  rest: Checkpoint,
): { model: BlockModel; config: Config } {
  const tensors = new Set(rest.tensors.keys());
  if (architecture !== undefined) {
    const { parts = [], ...written } = rewriteModel(config, tensors, architecture);
    const [part] = parts;
    if (part === undefined) return written;
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected linears that ${architecture} has too, but ${part.source} was quantized as one; quantize the model as ` +
        `${architecture} instead.`,
    );
  }
  return { model: readBlockModel(config, tensors), config };
}

/** Whether a linear has a bias that config.json does not announce, which some formats hold nevertheless. */
async function hasUnannouncedBiases({ model, record, reader }: OpenedResult): Promise<boolean> {
  for (const spec of shapeOf(model, 0).linears.filter(({ bias }) => !bias)) {
    const stored = await reader.linear(0, spec, record.blocks[0]?.[spec.name]?.dtype ?? 'float32');
    disposeStored(stored);
    if (stored.bias !== undefined) return true;
  }
  return false;
}

async function readBlock(
  { device, format, client }: Conversion,
  { model, record, reader }: OpenedResult,
  written: BlockModel,
  index: number,
): Promise<Map<string, ExportedLinear>> {
  const linears = new Map<string, ExportedLinear>();
  const capability = biasCapability(written, format, client);
  try {
    for (const spec of shapeOf(model, index).linears) {
      const name = `${model.blockName(index)}.${spec.name}`;
      const expected = record.blocks[index]?.[spec.name];
      const stored = await reader.linear(index, spec, expected?.dtype ?? 'float32');
      linears.set(spec.name, stored as ExportedLinear);
      await expectDigest(name, stored, expected);
      const codes = expectCodes(name, stored, format);
      await expectSameGrid(device, name, codes, record.grid, format);
      if (!capability.read.has(spec.name)) {
        await expectNoBias(name, spec, stored.bias, format, capability.client);
      }
    }
    return linears;
  } catch (error) {
    for (const linear of linears.values()) disposeStored(linear);
    throw error;
  }
}

/** The final norm's bias may have changed: it is the result's, also where other tensors are the source's. */
async function finish(writer: ExportWriter, { model, reader }: OpenedResult): Promise<void> {
  const slot = model.slots.model;
  if (slot.kind !== 'norm' || reader.tensor === undefined) return writer.finish(new Map());
  using bias = reader.tensor(slot.tensor, 'float32');
  await writer.finish(new Map([[slot.tensor, bias]]));
}
