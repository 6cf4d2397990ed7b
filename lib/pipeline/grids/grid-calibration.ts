// The grids of a block that are found before any of its linears is quantized: ranges of its activations (the inputs of
// its linears, and the operands of attention's products), from what the float path has there or by a search, and the
// scales of its weights where they are searched too. One pass over the fitted mini-batches; values are read back batch
// by batch, whatever device each lies on. What is searched is searched on the first device.

import {
  type ActivationQuantizer,
  type BlockQuantizers,
  type Operand,
  operands,
  RangeObserver,
  type RangeRule,
  signedCandidates,
  softmaxCandidates,
  stepwiseAttention,
  uniformCandidates,
  uniformQuantizer,
} from '../../activations/index.js';
import type { Tensor } from '../../device/index.js';
import type { PerDevice } from '../../execution/index.js';
import { type Attend, type BlockShape, shapeOf } from '../../models/index.js';
import type { Replica } from '../blocks/replica.js';
import type { ResolvedOptions } from '../options/options.js';
import type { Paths, Run } from '../run.js';
import { type BlockSearch, type FoundGrids, searchBlock } from './block-search.js';

interface GridCalibration {
  readonly run: Run;
  readonly paths: Paths;
  readonly replicas: PerDevice<Replica>;
  readonly index: number;
}

interface CalibratedGrids {
  /** Undefined where activations stay float. */
  readonly activations: BlockQuantizers | undefined;
  /** By linear; empty where weights are not searched. The caller disposes them. */
  readonly weights: FoundGrids['weights'];
}

export async function calibrateGrids(calibration: GridCalibration): Promise<CalibratedGrids> {
  const { run, paths, replicas, index } = calibration;
  const { model, options, prepared } = run;
  if (prepared !== undefined) return { activations: prepared.activations, weights: new Map() };
  const { first } = replicas;
  const choices = await activationChoices(calibration);
  const activationMetric = searchesActivations(options) ? options.activationRange : 'none';
  const metrics = [options.weightSearch, activationMetric];
  const { activations, weights } = metrics.some((metric) => metric !== 'none')
    ? await searchBlock({
        ...choices,
        run,
        index,
        weights: first.block.weights,
        float: first.float.linear,
        weightOf: (name) => first.weightsOf(name).weight,
        x: found(paths.float[0], 'the first mini-batch'),
        needsGradient: metrics.includes('hessian'),
      })
    : ({ activations: new Map(), weights: new Map() } satisfies FoundGrids);
  if (options.activationBits === 0) return { activations: undefined, weights };
  const quantizerOf = (site: string) => found(activations.get(site) ?? choices.startOf(site), site);
  return { activations: quantizersOf(shapeOf(model, index), options, quantizerOf), weights };
}

function searchesActivations({ activationBits, activationRange }: ResolvedOptions): boolean {
  return activationBits !== 0 && (activationRange === 'cosine' || activationRange === 'hessian');
}

/** How each site's activations are quantized, or what is to be tried there. */
async function activationChoices(
  calibration: GridCalibration,
): Promise<Pick<BlockSearch, 'startOf' | 'candidatesOf'>> {
  const { run, index } = calibration;
  const { options } = run;
  const { activationRange: rule, activationSites } = options;
  if (options.activationBits === 0) return { startOf: () => undefined, candidatesOf: () => [] };
  const hasAttention = shapeOf(run.model, index).slots.attention !== undefined;
  const asked = (site: string) =>
    operands.includes(site as Operand)
      ? hasAttention && activationSites.includes('attention')
      : activationSites.includes('linear');
  const grid = { bits: options.activationBits, symmetric: options.activationSymmetric };
  if (rule === 'dynamic') {
    const granularity = options.activationGranularity;
    const quantizer = { kind: 'dynamic', ...grid, granularity } as const;
    return { startOf: (site) => (asked(site) ? quantizer : undefined), candidatesOf: () => [] };
  }
  const { linears, attention, activated } = await observeRanges(calibration);
  const rangeOf = (site: string, how: RangeRule) =>
    found(linears.get(site) ?? attention.get(site as Operand), site).range(how, grid);
  const isSearch = rule === 'cosine' || rule === 'hessian';
  const startOf = (site: string) =>
    asked(site) ? uniformQuantizer(rangeOf(site, isSearch ? 'minmax' : rule), grid) : undefined;
  const candidatesOf = (site: string) => {
    if (!isSearch || !asked(site)) return [];
    const range = rangeOf(site, 'minmax');
    if (options.activationTwin && site === 'probabilities') return softmaxCandidates(range, grid);
    const twin = options.activationTwin && activated.has(site) && range.low < 0;
    return twin ? signedCandidates(range, grid) : uniformCandidates(range, grid);
  };
  return { startOf, candidatesOf };
}

function found<T>(value: T | undefined, site: string): T {
  if (value === undefined) throw new RangeError(`Nothing observed at ${site}.`);
  return value;
}

function quantizersOf(
  { linears, slots }: BlockShape,
  { activationSites }: ResolvedOptions,
  quantizerOf: (site: string) => ActivationQuantizer,
): BlockQuantizers {
  const at = (sites: readonly string[]) =>
    Object.fromEntries(sites.map((site) => [site, quantizerOf(site)]));
  const inputs = activationSites.includes('linear') ? at(linears.map(({ name }) => name)) : {};
  if (!activationSites.includes('attention') || slots.attention === undefined) return { inputs };
  return { inputs, attention: at(operands) as Record<Operand, ActivationQuantizer> };
}

async function observeRanges({ run, paths, replicas }: GridCalibration) {
  const { options, heldOutFrom } = run;
  const linears = new Map<string, RangeObserver>();
  const attention = new Map<Operand, RangeObserver>();
  const activated = new Set<string>();
  /** Observers of the tensors that one mini-batch has shown; linears of a group share theirs. */
  for (const x of paths.float.slice(0, heldOutFrom)) {
    run.throwIfAborted();
    const { device } = x;
    const replica = replicas.of(device);
    const shown = new Map<Tensor, RangeObserver>();
    const show = <Site>(observers: Map<Site, RangeObserver>, site: Site, tensor: Tensor) => {
      const observer = shown.get(tensor) ?? observers.get(site) ?? new RangeObserver();
      observers.set(site, observer);
      shown.set(device.keep(tensor), observer);
      return tensor;
    };
    const attend: Attend = (query, key, value, how) =>
      stepwiseAttention(device, query, key, value, how, (operand, tensor) =>
        show(attention, operand, tensor),
      );
    const asked = options.activationSites.includes('attention') ? attend : undefined;
    const runBlock = replica.runner(asked);
    device.scope(() => {
      const fromActivation = new Set<Tensor>();
      runBlock(x, (name, input, how) => {
        if (fromActivation.has(input)) activated.add(name);
        const output = replica.float.linear(name, show(linears, name, input), how);
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
