// The site 'block': one more bias on a block's output, so that its mean equals the float block's. Per channel it
// is folded where the model has a slot for it (the last linear's bias, or a norm's); per position it travels
// beside the weights.

import type { DType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { addPositionBias, type LoadedBlock } from '../execution/index.js';
import type { Linear } from '../models/index.js';
import { type Statistics, StatisticsSums } from '../statistics/index.js';
import type { BlockRun } from './observe.js';
import { foldedBias, type QuantizedLinear } from './quantize-linear.js';
import type { Paths, Run } from './run.js';

/** What the block's compensation leaves besides linears that were changed in place. */
export interface BlockBias {
  /** [sequence, hiddenSize] float32. */
  readonly positionBias?: Tensor | undefined;
  /** A block tensor that holds the folded bias now, by its name inside the block. */
  readonly replaced?: readonly [name: string, tensor: Tensor] | undefined;
  /** Adds what executing the block does not add by itself. */
  apply(y: Tensor): Tensor;
  dispose(): void;
}

export interface BlockSiteInput {
  readonly run: Run;
  readonly index: number;
  readonly paths: Paths;
  /** As the quantized block runs. */
  readonly runBlock: BlockRun;
  /** Executes the quantized linears as they stand in `linears`. */
  readonly quantized: Linear;
  /** The float block's outputs on the float path. */
  readonly outputs: readonly Tensor[];
  /** The entry of the slot's linear is replaced. */
  readonly linears: Map<string, QuantizedLinear>;
  readonly block: LoadedBlock;
}

/** Undefined where the site is not asked for, or folding into a linear was all there was to do. */
export async function compensateBlock(input: BlockSiteInput): Promise<BlockBias | undefined> {
  const { device, options } = input.run;
  if (options.compensation === 'none' || !options.sites.includes('block')) return undefined;
  using expected = await outputMeans(input, input.outputs, (x) => x);
  const states = options.propagate === 'float' ? input.paths.float : input.paths.quantized;
  using received = await outputMeans(input, states, (x) => input.runBlock(x, input.quantized));
  if (options.compensation === 'position') {
    const { positionMeans: target } = expected;
    const { positionMeans: actual } = received;
    if (target === undefined || actual === undefined) throw new RangeError('No position means.');
    const positionBias = device.subtract(target, actual);
    return {
      positionBias,
      apply: (y) => addPositionBias(device, y, positionBias),
      dispose: () => positionBias.dispose(),
    };
  }
  const target = await expected.mean.readFloat64();
  const actual = await received.mean.readFloat64();
  return fold(
    input,
    target.map((value, channel) => value - (actual[channel] ?? 0)),
  );
}

async function outputMeans(
  { run }: BlockSiteInput,
  states: readonly Tensor[],
  body: (x: Tensor) => Tensor,
): Promise<Statistics> {
  const { device, options, context, throwIfAborted } = run;
  const positions = options.compensation === 'position';
  using sums = new StatisticsSums(device, context.sequence, { moment: false, positions });
  for (const x of states) {
    throwIfAborted();
    device.scope(() => sums.add(body(x)));
    await device.synchronize();
  }
  // Awaited here: `using` would release the sums while they are still read.
  return await sums.finish();
}

async function fold(input: BlockSiteInput, bias: Float64Array): Promise<BlockBias | undefined> {
  const { run, index, linears, block } = input;
  const { device, model } = run;
  const slot = model.slots.block;
  if (slot.kind === 'none') {
    throw new BallastError(
      'ERR_ARGUMENT',
      `The output of ${model.blockName(index)} cannot be compensated per channel: ${slot.reason}`,
    );
  }
  if (slot.kind === 'linear') {
    const linear = linears.get(slot.linear);
    if (linear === undefined) throw new RangeError(`No linear ${slot.linear}.`);
    const folded = await foldedBias(device, linear.bias, linear.weight.dtype, bias);
    linear.bias?.dispose();
    linears.set(slot.linear, { ...linear, bias: folded });
    return undefined;
  }
  // The output is the norm's, so the executed block still adds the norm's old bias.
  const own = block.weights.get(slot.tensor);
  const { dtype } = run.checkpoint.tensor(`${model.blockName(index)}.${slot.tensor}`);
  const replaced = await foldedBias(device, own, dtype as DType, bias);
  if (replaced === undefined) throw new RangeError('A norm without a bias.');
  const difference = device.subtract(replaced, own);
  return {
    replaced: [slot.tensor, replaced],
    apply: (y) => device.add(y, difference),
    dispose: () => {
      replaced.dispose();
      difference.dispose();
    },
  };
}
