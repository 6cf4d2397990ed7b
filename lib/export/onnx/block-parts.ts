// The parts of one block as nodes; weights are written first, tensor by tensor. A linear is its product, the bias, what
// is added per position, its activation function and the residual, in this order. Products are of integers where the
// input is on one grid and the weight on one for each channel.

import type { ActivationQuantizer, Operand } from '../../activations/index.js';
import type { Tensor } from '../../device/index.js';
import type { LinearSpec } from '../../models/index.js';
import type { ExportedBlock, Grid } from '../format.js';
import { activate, quantize } from './activation-nodes.js';
import { writeBlockwiseProduct } from './blockwise-product.js';
import type { Graph } from './graph.js';
import { writeIntegerProduct } from './integer-product.js';
import type { BlockParts } from './model-graph.js';

interface PartsInput {
  readonly graph: Graph;
  /** Such as 'vit.encoder.layer.0'. */
  readonly name: string;
  readonly block: ExportedBlock;
  readonly grid: Grid;
  readonly linears: readonly LinearSpec[];
  readonly load: BlockParts['load'];
}

/** Errors: ERR_ARGUMENT for ranges that are found anew, ERR_UNSUPPORTED for zero points that are no codes, ERR_IO. */
export async function openBlockParts(input: PartsInput): Promise<BlockParts> {
  const { graph, name, block } = input;
  const products = new Map<string, readonly Step[]>();
  for (const spec of input.linears) products.set(spec.name, await openLinear(input, spec));
  const see = seen(graph);
  const { inputs = {}, attention } = block.activations ?? {};
  return {
    name,
    linear(linear, x, { activation = 'none', residual } = {}) {
      const scope = `${name}.${linear}`;
      const input = see(`${scope}.input`, x, inputs[linear]);
      const sum = found(products.get(linear), linear).reduce((value, step) => step(value), input);
      const y = activate(graph, scope, activation, sum);
      return residual === undefined ? y : graph.node(scope, 'Add', [y, residual]);
    },
    operand: (operand: Operand, x) => see(`${name}.attention.${operand}`, x, attention?.[operand]),
    load: input.load,
  };
}

type Step = (x: string) => string;

/** The product with a linear's weight, and what is added to it. */
async function openLinear(
  { graph, name, block, grid }: PartsInput,
  spec: LinearSpec,
): Promise<readonly Step[]> {
  const { codes, bias } = found(block.linears.get(spec.name), spec.name);
  const full = `${name}.${spec.name}`;
  const quantizer = block.activations?.inputs[spec.name];
  const integers = quantizer?.kind === 'uniform' && grid.groupSize === 0;
  const write = integers ? writeIntegerProduct : writeBlockwiseProduct;
  const steps: Step[] = [await write(graph, full, codes, grid)];
  const positionBias = block.positionBiases?.get(spec.name);
  for (const [suffix, added] of [
    ['bias', bias],
    ['position_bias', positionBias],
  ] as const) {
    steps.push(await addition(graph, full, suffix, added));
  }
  return steps;
}

/** Adds a constant tensor; nothing where there is none, or it is zero. */
export async function addition(
  graph: Graph,
  scope: string,
  suffix: string,
  added: Tensor | undefined,
): Promise<Step> {
  const values = await added?.readFloat32();
  if (added === undefined || !values?.some((value) => value !== 0)) return (x) => x;
  const constant = await graph.floats(`${scope}.${suffix}`, values, added.shape);
  return (x) => graph.node(scope, 'Add', [x, constant]);
}

/** Quantizes a value once for all that read it on the same grid. */
function seen(graph: Graph) {
  const made = new Map<string, string>();
  return (scope: string, x: string, quantizer: ActivationQuantizer | undefined): string => {
    if (quantizer === undefined) return x;
    const key = `${x} ${JSON.stringify(quantizer)}`;
    const value = made.get(key) ?? quantize(graph, scope, x, quantizer);
    made.set(key, value);
    return value;
  };
}

function found<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new RangeError(`The block has no ${name}.`);
  return value;
}
