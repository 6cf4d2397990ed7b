// Ranges of a block's activations, from what the float path has there: the inputs of its linears, and the operands of
// attention's products. One pass over the fitted mini-batches; values are read back batch by batch.

import {
  type ActivationQuantizer,
  type BlockQuantizers,
  type Operand,
  operands,
  RangeObserver,
  type RangeRule,
  stepwiseAttention,
  uniformQuantizer,
} from '../activations/index.js';
import type { Tensor } from '../device/index.js';
import { blockRunner } from '../execution/index.js';
import type { Linear, Weights } from '../models/index.js';
import { searchActivations } from './activation-search.js';
import type { ResolvedOptions } from './options.js';
import type { Paths, Run } from './run.js';

export interface ActivationCalibration {
  readonly run: Run;
  readonly paths: Paths;
  readonly float: Linear;
  readonly weightOf: (linear: string) => Tensor;
  /** The block's tensors besides linears. */
  readonly weights: Weights;
  readonly index: number;
}

/** Undefined where activations stay float. */
export async function calibrateActivations(
  calibration: ActivationCalibration,
): Promise<BlockQuantizers | undefined> {
  const { model, options } = calibration.run;
  if (options.activationBits === 0) return undefined;
  if (options.activationRange === 'dynamic') {
    const quantizer = {
      kind: 'dynamic',
      bits: options.activationBits,
      symmetric: options.activationSymmetric,
      granularity: options.activationGranularity,
    } as const;
    return quantizersOf(model.linears, options, () => quantizer);
  }
  const { linears, attention, activated } = await observeRanges(calibration);
  const grid = { bits: options.activationBits, symmetric: options.activationSymmetric };
  const rule = options.activationRange;
  const rangeOf = (site: string, how: RangeRule) =>
    found(linears.get(site) ?? attention.get(site as Operand), site).range(how, grid);
  if (rule !== 'cosine' && rule !== 'hessian') {
    return quantizersOf(model.linears, options, (site) =>
      uniformQuantizer(rangeOf(site, rule), grid),
    );
  }
  const x = found(calibration.paths.float[0], 'the first mini-batch');
  const ranges = (site: string) => rangeOf(site, 'minmax');
  const searched = await searchActivations({ ...calibration, x, grid, rangeOf: ranges, activated });
  return quantizersOf(model.linears, options, (site) => found(searched.get(site), site));
}

function found<T>(value: T | undefined, site: string): T {
  if (value === undefined) throw new RangeError(`Nothing observed at ${site}.`);
  return value;
}

function quantizersOf(
  linears: readonly { readonly name: string }[],
  { activationSites }: ResolvedOptions,
  quantizerOf: (site: string) => ActivationQuantizer,
): BlockQuantizers {
  const at = (sites: readonly string[]) =>
    Object.fromEntries(sites.map((site) => [site, quantizerOf(site)]));
  const inputs = activationSites.includes('linear') ? at(linears.map(({ name }) => name)) : {};
  if (!activationSites.includes('attention')) return { inputs };
  return { inputs, attention: at(operands) as Record<Operand, ActivationQuantizer> };
}

async function observeRanges({ run, paths, float, weights, index }: ActivationCalibration) {
  const { device, model, context, options, heldOutFrom } = run;
  const linears = new Map<string, RangeObserver>();
  const attention = new Map<Operand, RangeObserver>();
  const activated = new Set<string>();
  /** Observers of the tensors that one mini-batch has shown; linears of a group share theirs. */
  for (const x of paths.float.slice(0, heldOutFrom)) {
    run.throwIfAborted();
    const shown = new Map<Tensor, RangeObserver>();
    const show = <Site>(observers: Map<Site, RangeObserver>, site: Site, tensor: Tensor) => {
      const observer = shown.get(tensor) ?? observers.get(site) ?? new RangeObserver();
      observers.set(site, observer);
      shown.set(device.keep(tensor), observer);
      return tensor;
    };
    const attend: NonNullable<typeof context.attend> = (query, key, value, how) =>
      stepwiseAttention(device, query, key, value, how, (operand, tensor) =>
        show(attention, operand, tensor),
      );
    const asked = options.activationSites.includes('attention') ? { ...context, attend } : context;
    const runBlock = blockRunner(model, weights, asked, index);
    device.scope(() => {
      const fromActivation = new Set<Tensor>();
      runBlock(x, (name, input, how) => {
        if (fromActivation.has(input)) activated.add(name);
        const output = float(name, show(linears, name, input), how);
        if (how?.activation !== undefined && how.residual === undefined) fromActivation.add(output);
        return output;
      });
      return undefined;
    });
    for (const [tensor, observer] of shown) {
      observer.add(await tensor.readFloat32());
      if (tensor !== x) tensor.dispose();
    }
  }
  return { linears, attention, activated };
}
