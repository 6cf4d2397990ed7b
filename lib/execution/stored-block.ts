// A block of a model directory as it is to be run: its weights, and what a run of this library has left beside them.

import { BlockActivations, type BlockQuantizers } from '../activations/index.js';
import { expectRecordedFiles } from '../checkpoint/output/result-files.js';
import { type BlockContext, type BlockModel, shapeOf } from '../models/index.js';
import { activationFile, readActivations } from './activation-file.js';
import type { RunnableBlock } from './advance.js';
import { blockRunner } from './hidden-states.js';
import { addPositionBias, executor } from './linear-execution.js';
import { linearOf } from './load-block.js';
import { operandTypeOf } from './operand-type.js';
import { PositionBiases, positionBiasFile } from './position-biases.js';
import type { StoredModel } from './stored-model.js';

/** What a run leaves beside its weights; those of them that it needs. */
export const runFiles: readonly string[] = [positionBiasFile, activationFile];

/** The same, read. */
interface Companions {
  readonly biases: PositionBiases;
  /** One a block; empty where activations are float. */
  readonly activations: readonly BlockQuantizers[];
}

/** Errors: ERR_CHECKPOINT for one that is damaged, or that the result was written with and is not there. */
export async function openCompanions(
  { directory }: Pick<StoredModel, 'directory'>,
  { blocks }: BlockModel,
): Promise<Companions> {
  await expectRecordedFiles(directory, runFiles);
  const biases = await PositionBiases.open(directory);
  return { biases, activations: await readActivations(directory, blocks) };
}

export type StoredBlock = RunnableBlock & Disposable;

/** Errors: those of loading a block, ERR_ARGUMENT for a sequence that its position biases do not hold for. */
export async function loadStoredBlock(
  stored: StoredModel,
  model: BlockModel,
  index: number,
  context: BlockContext,
  { biases, activations }: Companions,
): Promise<StoredBlock> {
  const { device } = context;
  const { linears, experts, sequence = context.sequence } = shapeOf(model, index);
  const block = await stored.loadBlock(index);
  const name = model.blockName(index);
  const find = (site: string) => biases.load(device, site, sequence);
  const outputBias = find(name);
  const positionBiases = new Map(
    linears.map((linear) => [linear.name, find(`${name}.${linear.name}`)]),
  );
  const quantizers = activations[index];
  const quantized = new BlockActivations(device, quantizers ?? { inputs: {} });
  const linear = executor(
    device,
    (linearName) => ({
      ...linearOf(block, linearName),
      positionBias: positionBiases.get(linearName),
    }),
    (linearName, x) => quantized.input(linearName, x),
  );
  const operands = operandTypeOf(device.precision, quantizers !== undefined);
  const own = { ...context, operands, attend: quantized.attend };
  const runBlock = blockRunner(model, block.weights, own, index);
  return {
    experts,
    run(x, batch) {
      const y = runBlock(x, linear, batch);
      return outputBias === undefined ? y : addPositionBias(device, y, outputBias);
    },
    [Symbol.dispose]() {
      for (const bias of [outputBias, ...positionBiases.values()]) bias?.dispose();
      quantized[Symbol.dispose]();
      block[Symbol.dispose]();
    },
  };
}
