// How a result's activations are quantized, beside its weights: one entry a block, see `BlockQuantizers`. The file may
// have been edited by hand, so every number in it is checked.

import { join } from 'node:path';
import {
  type ActivationQuantizer,
  type BlockQuantizers,
  type Operand,
  operands,
} from '../activations/index.js';
import { isRecord, readJsonObject } from '../checkpoint/bounded-json.js';
import { BallastError } from '../errors.js';

export const activationFile = 'ballast-activations.json';

/** The fields of each kind that are numbers; scales among them are above 0. */
const numbers: Readonly<Record<ActivationQuantizer['kind'], readonly string[]>> = {
  dynamic: ['bits'],
  uniform: ['bits', 'scale', 'zero'],
  twin: ['bits', 'threshold', 'lowScale', 'lowMin', 'lowMax', 'highScale', 'highMax'],
};

/** Those of a model directory; none where the file is absent. Error: ERR_CHECKPOINT. */
export async function readActivations(
  directory: string,
  blocks: number,
): Promise<readonly BlockQuantizers[]> {
  const content = await readJsonObject(join(directory, activationFile));
  if (content === undefined) return [];
  const list = content.blocks;
  if (!Array.isArray(list) || list.length !== blocks) {
    throw wrong(directory, `an entry for each of ${blocks} blocks`);
  }
  return list.map((block: unknown) => {
    const { inputs, attention } = isRecord(block) ? block : {};
    if (!isRecord(inputs)) throw wrong(directory, 'the inputs of each block');
    expectQuantizers(directory, inputs);
    if (attention === undefined) return { inputs: inputs as BlockQuantizers['inputs'] };
    if (!isRecord(attention) || operands.some((operand) => !(operand in attention))) {
      throw wrong(directory, `attention with ${operands.join(', ')}`);
    }
    expectQuantizers(directory, attention);
    return { inputs, attention } as {
      inputs: BlockQuantizers['inputs'];
      attention: Record<Operand, ActivationQuantizer>;
    };
  });
}

function expectQuantizers(directory: string, quantizers: Record<string, unknown>): void {
  for (const [site, quantizer] of Object.entries(quantizers)) {
    if (!isRecord(quantizer) || !isKind(quantizer.kind)) {
      throw wrong(directory, `one of ${Object.keys(numbers).join(', ')} as the kind of ${site}`);
    }
    for (const field of numbers[quantizer.kind]) {
      const value = quantizer[field];
      const isScale = field.toLowerCase().endsWith('scale');
      if (typeof value !== 'number' || !Number.isFinite(value) || (isScale && value <= 0)) {
        throw wrong(directory, `a number${isScale ? ' above 0' : ''} for ${field} of ${site}`);
      }
    }
  }
}

function isKind(kind: unknown): kind is ActivationQuantizer['kind'] {
  return typeof kind === 'string' && Object.hasOwn(numbers, kind);
}

function wrong(directory: string, expected: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected ${expected} in ${activationFile} of ${directory}; the file is damaged: quantize the model again.`,
  );
}
