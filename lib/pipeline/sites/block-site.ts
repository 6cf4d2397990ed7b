// The site 'block': one more bias on a block's output, so that its mean equals the float block's. Per channel it
// is folded where the model has a slot for it (the last linear's bias, or a norm's); per position it travels
// beside the weights.

import type { DType, Tensor } from '../../device/index.js';
import type { PerDevice } from '../../execution/index.js';
import { biasDtype } from '../../export/index.js';
import { shapeOf } from '../../models/index.js';
import type { QuantizedLinear } from '../blocks/quantize-linear.js';
import { type Replica, shareLinear } from '../blocks/replica.js';
import type { OutputReport } from '../events.js';
import { naming, type Paths, type Run } from '../run.js';
import { foldedBias } from './folded-bias.js';
import { fitOutputBias } from './output-bias.js';

/** What the block's compensation leaves besides linears that were changed in place. */
export interface BlockBias {
  readonly report: OutputReport;
  /** [sequence, hiddenSize] float32. */
  readonly positionBias?: Tensor | undefined;
  /** A block tensor that holds the folded bias now, by its name inside the block. */
  readonly replaced?: readonly [name: string, tensor: Tensor] | undefined;
  /** What executing the block does not add by itself, [hiddenSize] or [sequence, hiddenSize] float32. */
  readonly added?: Tensor | undefined;
  dispose(): void;
}

interface BlockSiteInput {
  readonly run: Run;
  readonly index: number;
  readonly paths: Paths;
  /** Execute the quantized linears as they stand in `linears`. */
  readonly replicas: PerDevice<Replica>;
  /** The float block's outputs on the float path. */
  readonly outputs: readonly Tensor[];
  /** The entry of the slot's linear is replaced. */
  readonly linears: Map<string, QuantizedLinear>;
}

/** Undefined where the block has no such site, or it is not asked for. */
export async function compensateBlock(input: BlockSiteInput): Promise<BlockBias | undefined> {
  const { run, index, paths, replicas, outputs } = input;
  const { device, options, model, context, sites } = run;
  const { hiddenSize, slots, sequence = context.sequence } = shapeOf(model, index);
  if (!sites.block || slots.block === undefined) return undefined;
  const states = options.propagate === 'float' ? paths.float : paths.quantized;
  const { bias, certificate } = await fitOutputBias(run, states, sequence, (x, batch) => {
    const y = outputs[batch];
    if (y === undefined) throw new RangeError('A path without a mini-batch.');
    const quantized = replicas.of(x.device).quantized;
    return [y, quantized.run(x, quantized.linear)];
  });
  const report = { name: model.blockName(index), ...certificate };
  if (bias === undefined) return { report, dispose: () => {} };
  if (options.compensation === 'channel') {
    return { report, ...(await naming(report.name, fold(input, bias))) };
  }
  const shape = [sequence, hiddenSize];
  const positionBias = device.upload('float32', shape, Float32Array.from(bias));
  return {
    report,
    positionBias,
    added: positionBias,
    dispose: () => positionBias.dispose(),
  };
}

async function fold(
  { run, index, linears, replicas }: BlockSiteInput,
  bias: Float64Array | Float32Array,
): Promise<Omit<BlockBias, 'report'>> {
  const { device, model } = run;
  const slot = shapeOf(model, index).slots.block;
  if (slot === undefined || slot.kind === 'none') throw new RangeError('A bias without a slot.');
  if (slot.kind === 'linear') {
    const linear = linears.get(slot.linear);
    if (linear === undefined) throw new RangeError(`No linear ${slot.linear}.`);
    const name = `${model.blockName(index)}.${slot.linear}`;
    const dtype = biasDtype(run.checkpoint, name, linear.weight.dtype);
    const folded = await foldedBias(device, linear.bias, dtype, bias);
    linear.bias?.dispose();
    const compensated = { ...linear, bias: folded };
    linears.set(slot.linear, compensated);
    await shareLinear(run, replicas, slot.linear, compensated);
    return { dispose: () => {} };
  }
  // The output is the norm's, so the executed block still adds the norm's old bias.
  const own = replicas.first.block.weights.get(slot.tensor);
  const { dtype } = run.checkpoint.tensor(`${model.blockName(index)}.${slot.tensor}`);
  const replaced = await foldedBias(device, own, dtype as DType, bias);
  if (replaced === undefined) throw new RangeError('A norm without a bias.');
  const difference = device.subtract(replaced, own);
  return {
    replaced: [slot.tensor, replaced],
    added: difference,
    dispose: () => {
      replaced.dispose();
      difference.dispose();
    },
  };
}
