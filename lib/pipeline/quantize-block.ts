// One block: statistics of its linears' inputs, then each linear quantized and compensated, then the block's
// output compensated if asked for, then both paths moved on. A block's statistics are taken before any of its
// linears is quantized; inputs of the quantized path come from the quantized blocks before.

import type { Tensor } from '../device/index.js';
import {
  blockRunner,
  disposeAll,
  executor,
  type LoadedBlock,
  loadBlock,
} from '../execution/index.js';
import type { Linear } from '../models/index.js';
import type { Statistics } from '../statistics/index.js';
import { type BlockBias, compensateBlock } from './block-site.js';
import {
  type BlockRun,
  type InputGroup,
  inputGroups,
  type ObservedBlock,
  observe,
} from './observe.js';
import { disposeLinear, type QuantizedLinear, quantizeLinear } from './quantize-linear.js';
import { named, type Paths, type Run } from './run.js';

export interface QuantizedBlock extends Disposable {
  readonly index: number;
  readonly linears: ReadonlyMap<string, QuantizedLinear>;
  readonly bias: BlockBias | undefined;
}

/** Quantizes block `index` and moves `paths` past it. */
export async function quantizeBlock(
  run: Run,
  index: number,
  paths: Paths,
  onLayer: (linear: QuantizedLinear) => void,
): Promise<QuantizedBlock> {
  const { device, model, context, clock } = run;
  using block = await clock.measure('load', () => loadBlock(device, run.checkpoint, model, index));
  const runBlock = blockRunner(model, block.weights, context, index);
  const float = executor(device, (name) => linearOf(block, name));
  const linears = new Map<string, QuantizedLinear>();
  let outputs: Tensor[] = [];
  try {
    // 1. Statistics.
    const observed = await clock.measure('calibrate', () =>
      observeBlock(run, paths, runBlock, float),
    );
    outputs = observed.float.outputs;
    // 2. Linears, group by group.
    for (const group of observed.groups) {
      for (const linear of await quantizeGroup(run, index, block, group, observed)) {
        linears.set(linear.name, linear);
        onLayer(linear);
      }
    }
    // 3. The block's output.
    const quantized = executor(device, (name) => linears.get(name) ?? linearOf(block, name));
    const bias = await clock.measure('compensate', () =>
      compensateBlock({ run, index, paths, runBlock, quantized, outputs, linears, block }),
    );
    // 4. On to the next block.
    await clock.measure('propagate', () =>
      advance(run, index, paths, outputs, bias, runBlock, quantized),
    );
    return { index, linears, bias, [Symbol.dispose]: () => disposeBlock(linears, bias) };
  } catch (error) {
    disposeAll(outputs);
    disposeBlock(linears, undefined);
    throw error;
  }
}

interface ObservedPaths {
  readonly groups: readonly InputGroup[];
  readonly float: ObservedBlock;
  /** `float` itself where both paths are the same or only one is needed. */
  readonly quantized: ObservedBlock;
}

function linearOf(block: LoadedBlock, name: string) {
  const weights = block.linears.get(name);
  if (weights === undefined) throw new RangeError(`The block has no linear ${name}.`);
  return weights;
}

/** Which paths a run needs at all. */
export function neededPaths({ options, quantizer }: Pick<Run, 'options' | 'quantizer'>) {
  const compensatesBlock = options.compensation !== 'none' && options.sites.includes('block');
  return {
    float: options.propagate === 'float' || compensatesBlock,
    quantized: options.propagate === 'quantized' || quantizer.needsMoment,
  };
}

async function observeBlock(
  run: Run,
  paths: Paths,
  runBlock: BlockRun,
  linear: Linear,
): Promise<ObservedPaths> {
  const { device, options, context, throwIfAborted } = run;
  const first = paths.quantized[0] ?? paths.float[0];
  if (first === undefined) throw new RangeError('No mini-batch to observe.');
  const groups = inputGroups(device, runBlock, first, linear);
  const needed = neededPaths(run);
  const positions = options.compensation === 'position';
  const observePath = (states: readonly Tensor[], needs: { moment: boolean }, outputs: boolean) =>
    observe({
      device,
      states,
      run: runBlock,
      linear,
      groups,
      sequence: context.sequence,
      needs: { ...needs, positions },
      outputs,
      throwIfAborted,
    });
  if (!needed.float) {
    const quantized = await observePath(paths.quantized, { moment: true }, false);
    return { groups, float: { statistics: quantized.statistics, outputs: [] }, quantized };
  }
  const shared = !paths.parted || !needed.quantized;
  const moment = shared || options.propagate === 'float';
  const float = await observePath(paths.float, { moment }, true);
  const quantized = shared ? float : await observePath(paths.quantized, { moment: true }, false);
  return { groups, float, quantized };
}

async function quantizeGroup(
  run: Run,
  index: number,
  block: LoadedBlock,
  group: InputGroup,
  { float, quantized }: ObservedPaths,
): Promise<QuantizedLinear[]> {
  const { device, options, model, clock, throwIfAborted } = run;
  const leader = group[0] ?? '';
  const take = ({ statistics }: ObservedBlock): Statistics => {
    const found = statistics.get(leader);
    if (found === undefined) throw new RangeError(`No statistics of ${leader}.`);
    return found;
  };
  const fitted = take(options.propagate === 'float' ? float : quantized);
  const seen = take(quantized);
  const done: QuantizedLinear[] = [];
  let current = leader;
  try {
    using quantizer = await clock.measure('quantize', () =>
      run.quantizer.forGroup({
        device,
        moment: seen.hasMoment ? seen.secondMoment : undefined,
        scheme: options,
        options,
      }),
    );
    for (const name of group) {
      throwIfAborted();
      current = name;
      const source = linearOf(block, name);
      done.push(
        await quantizeLinear({ run, block: index, name, source, quantizer, statistics: fitted }),
      );
    }
    return done;
  } catch (error) {
    for (const linear of done) disposeLinear(linear);
    throw named(`${model.blockName(index)}.${current}`, error);
  } finally {
    fitted.dispose();
    seen.dispose();
  }
}

/** Float outputs are there already; the quantized path runs through what was just quantized. */
async function advance(
  run: Run,
  index: number,
  paths: Paths,
  outputs: Tensor[],
  bias: BlockBias | undefined,
  runBlock: BlockRun,
  quantized: Linear,
): Promise<void> {
  const { device, model, throwIfAborted } = run;
  const needed = neededPaths(run);
  if (!needed.quantized || index === model.blocks - 1) {
    paths.advance(outputs, outputs);
    return;
  }
  const next: Tensor[] = [];
  try {
    for (const x of paths.quantized) {
      throwIfAborted();
      next.push(device.scope(() => bias?.apply(runBlock(x, quantized)) ?? runBlock(x, quantized)));
      await device.synchronize();
    }
  } catch (error) {
    disposeAll(next);
    throw error;
  }
  paths.advance(outputs, next);
}

function disposeBlock(
  linears: ReadonlyMap<string, QuantizedLinear>,
  bias: BlockBias | undefined,
): void {
  for (const linear of linears.values()) disposeLinear(linear);
  bias?.dispose();
}
