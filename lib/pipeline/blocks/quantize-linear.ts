// One linear: codes from the quantizer, the weight that the result will hold, the bias that makes good its mean
// error, and the certificate of both. What is executed from here on is exactly what will be saved: weights and
// folded biases are rounded to the dtypes of the file.

import { allOrNothing, type Own } from '../../all-or-nothing.js';
import { type Certificate, fitBias } from '../../compensation/index.js';
import type { Device, DType, Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import type { LinearWeights } from '../../execution/index.js';
import { biasDtype, findFormat } from '../../export/index.js';
import type { GroupParameters, GroupQuantizer, QuantizedWeight } from '../../quantizers/index.js';
import type { LayerReport } from '../events.js';
import type { Run } from '../run.js';
import { foldedBias } from '../sites/folded-bias.js';
import type { ObservedGroup } from './observe.js';

export interface QuantizedLinear extends LinearWeights {
  readonly name: string;
  /** Absent where the weight was prepared. */
  readonly codes?: QuantizedWeight | undefined;
  readonly report: LayerReport;
}

interface LinearInput {
  readonly run: Run;
  readonly block: number;
  /** Name inside the block. */
  readonly name: string;
  readonly source: LinearWeights;
  /** The weight that is to be approximated, given the source's; see compensation/target.ts. */
  readonly target: (weight: Tensor) => Tensor;
  /** Absent where the run's weights are prepared. */
  readonly quantizer?: GroupQuantizer | undefined;
  /** Scales and zeros that were searched before. */
  readonly parameters?: GroupParameters | undefined;
  readonly observed: ObservedGroup;
  /** Those that a router chose for it. */
  readonly tokens?: number | undefined;
}

/** The caller disposes it; nothing is left of one that fails. Errors: ERR_NUMERIC, and those of the device. */
export function quantizeLinear(input: LinearInput): Promise<QuantizedLinear> {
  return allOrNothing((own) => quantizedAndCompensated(input, own));
}

async function quantizedAndCompensated(input: LinearInput, own: Own): Promise<QuantizedLinear> {
  const { run, name, source, observed, tokens } = input;
  const { device, options, clock } = run;
  const found = await clock.measure('quantize', () => quantizedWeight(input, own));
  const { codes, weight, damping } = found;
  const { bias, certificate } = await clock.measure('compensate', () =>
    fitBias({
      device,
      weight: source.weight,
      quantized: weight,
      ...observed,
      granularity: run.sites.compensates(name) ? options.compensation : 'none',
      source: run.sites.sourceOf(name),
      shrinkage: options.shrinkage,
    }),
  );
  const report = { name: `${run.model.blockName(input.block)}.${name}`, block: input.block };
  expectNoLoss(certificate);
  const position = options.compensation === 'position';
  const added = position ? undefined : bias;
  const stored = biasDtype(run.checkpoint, report.name, weight.dtype);
  return {
    name,
    codes,
    weight,
    bias: await own(foldedBias(device, source.bias, stored, added)),
    positionBias:
      position && bias !== undefined
        ? device.upload('float32', [bias.length / weight.rows, weight.rows], bias)
        : undefined,
    report: {
      ...report,
      ...certificate,
      ...(tokens === undefined ? {} : { tokens }),
      ...(damping === undefined ? {} : { damping }),
    },
  };
}

interface FoundWeight extends Pick<QuantizedLinear, 'codes' | 'weight'> {
  readonly damping?: number | undefined;
}

async function quantizedWeight(
  { run, name, source, target, quantizer, parameters }: LinearInput,
  own: Own,
): Promise<FoundWeight> {
  const { device } = run;
  if (quantizer === undefined) {
    return { weight: await own(device.scope(() => preparedWeight(run, name))) };
  }
  const found = device.scope(() => quantizer.quantize(target(source.weight), parameters));
  for (const tensor of Object.values(found)) await own(tensor);
  const codes = await roundedToFormat(run, found);
  for (const tensor of Object.values(codes)) await own(tensor);
  const { weightDtype = source.weight.dtype } = findFormat(run.options.format);
  const weight = await own(dequantized(device, codes, weightDtype));
  const [damping] = await Promise.all([codes.damping?.readFloat64(), device.synchronize()]);
  return { codes, weight, damping: damping?.[0] };
}

/** Codes and group parameters that the format can hold exactly. */
async function roundedToFormat(
  { device, options }: Run,
  found: QuantizedWeight,
): Promise<QuantizedWeight> {
  const rounded = await findFormat(options.format).roundGrid?.(device, found, options);
  if (rounded === undefined) return found;
  const held = new Set(Object.values(rounded));
  for (const tensor of Object.values(found)) if (!held.has(tensor)) tensor?.dispose();
  return rounded;
}

function preparedWeight({ prepared }: Run, name: string): Tensor {
  if (prepared === undefined) throw new RangeError('Neither a quantizer nor prepared weights.');
  return prepared.weight(name);
}

/** A bias that is fitted in closed form cannot raise the error on what it was fitted on: if it does, that is a bug. */
function expectNoLoss({ error, errorWithBias }: Certificate): void {
  if (Number.isNaN(error)) {
    throw new BallastError(
      'ERR_NUMERIC',
      'Expected finite outputs on the calibration data but some are not: weights or hidden states are beyond the range of ' +
        'float32; check that the checkpoint is whole and config.json its own.',
    );
  }
  if (errorWithBias <= error * (1 + 1e-6) + Number.EPSILON) return;
  throw new BallastError(
    'ERR_NUMERIC',
    `The bias raised the calibration error from ${error} to ${errorWithBias}; this is a defect: please report it.`,
  );
}

/** The dequantized weight, in the dtype that it is executed in. */
function dequantized(device: Device, codes: QuantizedWeight, dtype: DType): Tensor {
  return device.dequantize(codes.codes, codes.scales, codes.zeros, dtype, codes.groupIndex);
}

export function disposeLinear({
  codes,
  weight,
  bias,
  positionBias,
}: LinearWeights & Pick<QuantizedLinear, 'codes'>): void {
  for (const tensor of [...Object.values(codes ?? {}), weight, bias, positionBias])
    tensor?.dispose();
}
