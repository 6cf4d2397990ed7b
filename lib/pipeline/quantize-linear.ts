// One linear: codes from the quantizer, the weight that the result will hold, the bias that makes good its mean
// error, and the certificate of both. What is executed from here on is exactly what will be saved: weights and
// folded biases are rounded to the dtypes of the file.

import { certify, fitChannelBias, fitPositionBias } from '../compensation/index.js';
import type { Device, DType, Tensor } from '../device/index.js';
import type { LinearWeights } from '../execution/index.js';
import type { GroupQuantizer, QuantizedWeight } from '../quantizers/index.js';
import type { Statistics } from '../statistics/index.js';
import type { LayerReport } from './events.js';
import type { Run } from './run.js';

export interface QuantizedLinear extends LinearWeights {
  readonly name: string;
  readonly codes: QuantizedWeight;
  readonly report: LayerReport;
}

export interface LinearInput {
  readonly run: Run;
  readonly block: number;
  /** Name inside the block. */
  readonly name: string;
  readonly source: LinearWeights;
  readonly quantizer: GroupQuantizer;
  /** What the bias and the certificate are measured on; must hold a moment. */
  readonly statistics: Statistics;
}

export async function quantizeLinear(input: LinearInput): Promise<QuantizedLinear> {
  const { run, name, source, quantizer, statistics } = input;
  const { device, options, clock } = run;
  const { codes, weight } = await clock.measure('quantize', async () => {
    const made = device.scope(() => {
      const quantized = quantizer.quantize(source.weight);
      return { codes: quantized, weight: dequantized(device, quantized, source.weight) };
    });
    await device.synchronize();
    return made;
  });
  const fit = {
    device,
    weight: source.weight,
    quantized: weight,
    float: statistics,
    quantizedInputs: statistics,
  };
  const bias =
    options.compensation === 'channel' && options.sites.includes('linear')
      ? await clock.measure('compensate', () => fitChannelBias(fit))
      : undefined;
  const positionBias =
    options.compensation === 'position' && options.sites.includes('linear')
      ? fitPositionBias(fit)
      : undefined;
  const certificate = await clock.measure('compensate', () =>
    certify(device, source.weight, weight, statistics, bias),
  );
  const [damping] = (await codes.damping?.readFloat64()) ?? [];
  return {
    name,
    codes,
    weight,
    bias: await foldedBias(device, source.bias, source.weight.dtype, bias),
    positionBias,
    report: {
      name: `${run.model.blockName(input.block)}.${name}`,
      block: input.block,
      ...certificate,
      ...(damping === undefined ? {} : { damping }),
    },
  };
}

/** The dequantized weight in the dtype of the source. */
function dequantized(device: Device, codes: QuantizedWeight, source: Tensor): Tensor {
  return device.dequantize(codes.codes, codes.scales, codes.zeros, source.dtype, codes.groupIndex);
}

/** c + b [out] float32, rounded to the dtype that the file holds; undefined where there is neither. */
export async function foldedBias(
  device: Device,
  own: Tensor | undefined,
  dtype: DType,
  added: Float64Array | undefined,
): Promise<Tensor | undefined> {
  // A handle of its own: the source's is released with the block.
  if (added === undefined) return own === undefined ? undefined : device.reshape(own, own.shape);
  const values = await own?.readFloat32();
  const sum = Float32Array.from(added, (value, channel) => value + (values?.[channel] ?? 0));
  return device.scope(() =>
    device.cast(device.cast(device.upload('float32', [sum.length], sum), dtype), 'float32'),
  );
}

export function disposeLinear({ codes, weight, bias, positionBias }: QuantizedLinear): void {
  for (const tensor of [...Object.values(codes), weight, bias, positionBias]) tensor?.dispose();
}
