// Linears of one input group on one device: they share statistics, a factorisation and the target's correction.

import {
  asymmetricTarget,
  minTargetDamping,
  ownTarget,
  tellsBias,
} from '../../compensation/index.js';
import type { LinearWeights } from '../../execution/index.js';
import { shapeOf } from '../../models/index.js';
import type { GroupParameters } from '../../quantizers/index.js';
import { named, type Run } from '../run.js';
import { type InputGroup, leaderOf, type ObservedGroup } from './observe.js';
import { disposeLinear, type QuantizedLinear, quantizeLinear } from './quantize-linear.js';

interface GroupWork {
  /** Its device has all that is given here. */
  readonly run: Run;
  /** Block. */
  readonly index: number;
  readonly group: InputGroup;
  /** Which of the group's linears are quantized here. */
  readonly names: readonly string[];
  readonly find: (name: string) => LinearWeights;
  /** Of linears whose scales were searched before. */
  readonly parameters: ReadonlyMap<string, GroupParameters>;
  readonly observed: ObservedGroup;
}

/**
 * Of the mean diagonal, times channels per token: the least damping of experts, whose tokens may be few. With so many channels
 * a token, as much of a moment is chance (docs/numerics.md, "Experts").
 */
const chance = 0.3;

/** Tokens that a router chose for the group; undefined where all come here. */
function chosenTokens({ run, index, group, observed }: GroupWork): number | undefined {
  const { linears } = shapeOf(run.model, index);
  const isRouted = linears.some(({ name, routed }) => name === leaderOf(group) && routed);
  return isRouted ? observed.fitted.inputs.count : undefined;
}

function dampingOf({ run, observed }: GroupWork, tokens: number | undefined): number {
  const { damping } = run.options;
  if (tokens === undefined) return damping;
  const { count, mean } = observed.fitted.quantizerInputs.ofMoment;
  return Math.max(damping, Math.min(1, (chance * mean.elements) / count));
}

export async function quantizeGroup(work: GroupWork): Promise<QuantizedLinear[]> {
  const { run, index, group, names, find, parameters, observed } = work;
  const { device, model, clock, throwIfAborted } = run;
  const { fitted } = observed;
  const tokens = chosenTokens(work);
  const options = { ...run.options, damping: dampingOf(work, tokens) };
  // With a bias to follow, the mean of the inputs is none of the quantizer's business: docs/numerics.md,
  // "Joint fit".
  const centred =
    options.fit === 'joint' &&
    tellsBias(observed) &&
    group.every((name) => run.sites.compensates(name) && run.sites.sourceOf(name) === 'output');
  const done: QuantizedLinear[] = [];
  let current = names[0] ?? leaderOf(group);
  try {
    const seen = fitted.quantizerInputs;
    using quantizer =
      run.prepared === undefined
        ? await clock.measure('quantize', () =>
            run.quantizer.forGroup({
              device,
              moment: centred ? seen.covariance : seen.secondMoment,
              scheme: options,
              options,
            }),
          )
        : undefined;
    using target =
      options.target === 'float' && run.prepared === undefined
        ? asymmetricTarget(device, fitted, centred, Math.max(options.damping, minTargetDamping))
        : ownTarget(device);
    for (const name of names) {
      throwIfAborted();
      current = name;
      const source = find(name);
      done.push(
        await quantizeLinear({
          run,
          block: index,
          name,
          source,
          target,
          quantizer,
          parameters: parameters.get(name),
          observed,
          tokens,
        }),
      );
    }
    return done;
  } catch (error) {
    for (const linear of done) disposeLinear(linear);
    throw named(`${model.blockName(index)}.${current}`, error);
  }
}
