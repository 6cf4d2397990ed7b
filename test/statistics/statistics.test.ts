// Statistics of an input group against their definitions in float64: whatever the split into mini-batches, with
// channels whose mean is far above their spread, and for the small differences between two paths.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import { DriftSums, GroupSums, StatisticsSums } from '../../lib/statistics/index.js';
import { at, expectClose, float32, normals } from '../native/harness.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [sequence, samples, channels] = [8, 24, 20];
const tokens = sequence * samples;

/** Row-major [tokens, channels]; channel 3 has a mean of a thousand spreads, channel 5 is dead. */
const inputs = normals(tokens * channels, 1, 1, 0.5).map((value, i) => {
  const channel = i % channels;
  if (channel === 5) return 0;
  return channel === 3 ? 1000 + value : value;
});

/** The first batches end at these samples. */
const splits: [string, number[]][] = [
  ['one batch', []],
  ['two', [11]],
  ['one sample each', Array.from({ length: samples - 1 }, (_, i) => i + 1)],
];

function* batches(values: Float32Array, ends: readonly number[]): Generator<Tensor> {
  let begin = 0;
  for (const end of [...ends, samples]) {
    const part = values.subarray(begin * sequence * channels, end * sequence * channels);
    yield float32(device, [(end - begin) * sequence, channels], part);
    begin = end;
  }
}

/** E[x yᵀ] − (centred) E[x] E[y]ᵀ in float64. */
function moment(x: ArrayLike<number>, y: ArrayLike<number>, centred: boolean): Float64Array {
  const [meanX, meanY] = [means(x), means(y)];
  const shift = (values: Float64Array, channel: number) => (centred ? at(values, channel) : 0);
  return Float64Array.from({ length: channels ** 2 }, (_, index) => {
    const [i, j] = [Math.floor(index / channels), index % channels];
    let sum = 0;
    for (let t = 0; t < tokens; t++) {
      const left = at(x, t * channels + i) - shift(meanX, i);
      sum += left * (at(y, t * channels + j) - shift(meanY, j));
    }
    return sum / tokens;
  });
}

function means(x: ArrayLike<number>): Float64Array {
  const sums = new Float64Array(channels);
  for (let i = 0; i < tokens * channels; i++)
    sums[i % channels] = at(sums, i % channels) + at(x, i);
  return sums.map((sum) => sum / tokens);
}

/** [sequence, channels]. */
function positionMeans(values: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: sequence * channels }, (_, i) => {
    let sum = 0;
    for (let sample = 0; sample < samples; sample++)
      sum += at(values, sample * sequence * channels + i);
    return sum / samples;
  });
}

describe.each(splits)('statistics of %s', (_, ends) => {
  it('are the mean, the covariance and the second moment', async () => {
    using sums = new StatisticsSums(device, sequence, { moment: true, positions: true });
    for (const batch of batches(inputs, ends)) sums.add(batch);
    using statistics = await sums.finish();
    expect(statistics.count).toBe(tokens);
    expectClose(await statistics.mean.readFloat64(), means(inputs), 1e-9);
    // A mean of 1000 and a spread of 1: a covariance formed from E[xxᵀ] in float32 would be off by 0.1.
    const covariance = await statistics.covariance.readFloat32();
    expectClose(covariance, moment(inputs, inputs, true), 2e-5);
    const expected = moment(inputs, inputs, false);
    const second = await statistics.secondMoment.readFloat32();
    second.forEach((value, i) => {
      const wanted = at(expected, i);
      expect(Math.abs(value - wanted)).toBeLessThan(1e-5 + 1e-6 * Math.abs(wanted));
    });
  });

  it('are means per position of the sequence', async () => {
    using sums = new StatisticsSums(device, sequence, { moment: false, positions: true });
    for (const batch of batches(inputs, ends)) sums.add(batch);
    using statistics = await sums.finish();
    const expected = positionMeans(inputs);
    const found = statistics.positionMeans;
    if (found === undefined) throw new Error('No means per position.');
    expectClose(await found.readFloat32(), expected, 1e-4);
    expect(statistics.hasMoment).toBe(false);
  });

  it('of the drift between two paths keep its digits', async () => {
    const drifted = normals(inputs.length, 2, 1e-3, 2e-3);
    // Exactly representable differences are what the sums are to see.
    const float = inputs.map((value, i) => value + at(drifted, i));
    const difference = float.map((value, i) => value - at(inputs, i));
    using inputSums = new StatisticsSums(device, sequence, { moment: true, positions: false });
    using sums = new DriftSums(device, sequence, { moment: true, positions: true });
    const quantized = batches(inputs, ends);
    for (const x of batches(float, ends)) {
      const y = quantized.next().value as Tensor;
      inputSums.add(y);
      sums.add(x, y);
    }
    using statistics = await inputSums.finish();
    using drift = await sums.finish(statistics);
    expectClose(await drift.difference.mean.readFloat64(), means(difference), 1e-9);
    const own = moment(difference, difference, true);
    expectClose(await drift.difference.covariance.readFloat32(), own, 1e-9);
    // Both forms at once: what quantizes may want one and what certifies the other.
    const [centred, raw] = [drift.cross(true), drift.cross(false)];
    expectClose(await centred.readFloat32(), moment(difference, inputs, true), 1e-5);
    expectClose(await raw.readFloat32(), moment(difference, inputs, false), 1e-5);
  });
});

describe('statistics of a group', () => {
  const needs = { moments: true, quantizerMoment: true, drift: true, positions: false } as const;
  const other = inputs.map((value) => value + 0.25);

  it('keep the inputs of errors, those of the quantizer, and the drift apart', async () => {
    using sums = new GroupSums(device, sequence, needs);
    for (const x of batches(inputs, [])) {
      for (const y of batches(other, [])) {
        sums.add({ inputs: x, reference: y, quantizerInputs: y });
      }
    }
    using group = await sums.finish();
    expectClose(await group.inputs.mean.readFloat64(), means(inputs), 1e-9);
    expectClose(await group.quantizerInputs.mean.readFloat64(), means(other), 1e-9);
    const drift = await group.drift?.difference.mean.readFloat64();
    expectClose(drift ?? [], new Float64Array(channels).fill(0.25), 1e-6);
  });

  it('share one moment where the quantizer sees what errors are measured on', async () => {
    using sums = new GroupSums(device, sequence, {
      ...needs,
      quantizerMoment: false,
      drift: false,
    });
    for (const y of batches(other, [])) sums.add({ inputs: y });
    using group = await sums.finish();
    expect(group.quantizerInputs).toBe(group.inputs);
    expect(group.drift).toBeUndefined();
  });

  it('of no tokens are refused', async () => {
    using sums = new StatisticsSums(device, sequence, { moment: true, positions: false });
    await expect(sums.finish()).rejects.toThrow('no tokens');
  });
});

describe('sums of several devices', () => {
  const others = [1, 2].map(() => Device.open('cpu', { threads: 1 }));
  afterAll(() => {
    for (const other of others) other.close();
  });

  it('add up on the first, whatever mini-batch each began with', async () => {
    const float = normals(inputs.length, 2, 1e-3, 2e-3).map((value, i) => value + at(inputs, i));
    const difference = float.map((value, i) => value - at(inputs, i));
    const needs = { moments: true, quantizerMoment: true, drift: true, positions: true };
    const devices = [device, ...others];
    const sums = devices.map((place) => new GroupSums(place, sequence, needs));
    // Samples 0 … 10, 11 … 23, and none.
    for (const [i, [begin, end]] of (
      [
        [0, 11],
        [11, samples],
      ] as const
    ).entries()) {
      const part = (values: Float32Array) =>
        float32(
          devices[i] as Device,
          [(end - begin) * sequence, channels],
          values.subarray(begin * sequence * channels, end * sequence * channels),
        );
      const [x, seen] = [part(float), part(inputs)];
      sums[i]?.add({ inputs: seen, reference: x, quantizerInputs: x });
    }
    const [first, ...rest] = sums as [GroupSums, ...GroupSums[]];
    for (const other of rest) await first.merge(other);
    using statistics = await first.finish();
    const { inputs: own, quantizerInputs, drift } = statistics;
    expect([own.count, quantizerInputs.count, drift?.difference.count]).toEqual([
      tokens,
      tokens,
      tokens,
    ]);
    expectClose(await own.mean.readFloat64(), means(inputs), 1e-9);
    expectClose(await own.covariance.readFloat32(), moment(inputs, inputs, true), 2e-5);
    const expected = moment(float, float, true);
    expectClose(await quantizerInputs.covariance.readFloat32(), expected, 2e-5);
    if (drift === undefined || own.positionMeans === undefined) throw new Error('Not summed.');
    expectClose(await own.positionMeans.readFloat32(), positionMeans(inputs), 1e-4);
    const spread = moment(difference, difference, true);
    expectClose(await drift.difference.covariance.readFloat32(), spread, 1e-9);
    expectClose(await drift.cross(true).readFloat32(), moment(difference, inputs, true), 1e-5);
  });
});

describe('moments of some of the tokens', () => {
  const some = inputs.subarray(0, 11 * sequence * channels);
  const alone = async () => {
    using sums = new StatisticsSums(device, sequence, { moment: true, positions: false });
    sums.add(float32(device, [11 * sequence, channels], some));
    return await sums.finish();
  };

  it('are those tokens’ own; the mean is that of all', async () => {
    using sums = new StatisticsSums(device, sequence, { moment: true, positions: true });
    for (const [i, batch] of [...batches(inputs, [11])].entries()) sums.add(batch, i === 0);
    using statistics = await sums.finish();
    using expected = await alone();
    expect(statistics.count).toBe(tokens);
    expectClose(await statistics.mean.readFloat64(), means(inputs), 1e-9);
    for (const form of ['covariance', 'secondMoment'] as const) {
      expect(await statistics[form].readFloat32()).toEqual(await expected[form].readFloat32());
    }
  });

  it('add up where another device has only tokens without', async () => {
    const [first, second] = [...batches(inputs, [11])] as [Tensor, Tensor];
    const needs = { moment: true, positions: false };
    using sums = new StatisticsSums(device, sequence, needs);
    using others = new StatisticsSums(device, sequence, needs);
    sums.add(first);
    others.add(second, false);
    await sums.merge(others);
    using statistics = await sums.finish();
    using expected = await alone();
    expect(statistics.count).toBe(tokens);
    expectClose(await statistics.mean.readFloat64(), means(inputs), 1e-9);
    expect(await statistics.covariance.readFloat32()).toEqual(
      await expected.covariance.readFloat32(),
    );
  });
});

describe('where no token came, as to an expert', () => {
  const none = () => float32(device, [0, channels], new Float32Array(0));
  const sumsOf = (...parts: readonly Tensor[]) => {
    const sums = new StatisticsSums(device, sequence, { moment: true, positions: false });
    for (const part of parts) sums.add(part);
    return sums;
  };
  const all = () => float32(device, [tokens, channels], inputs);
  const finished = async (sums: StatisticsSums) => {
    using statistics = await sums.finish();
    const { count, isKnown } = statistics;
    const covariance = await statistics.covariance.readFloat32();
    return { count, isKnown, mean: await statistics.mean.readFloat64(), covariance };
  };

  it('nothing is known: a mean of 0, and each channel varies by itself', async () => {
    const identity = Float32Array.from({ length: channels ** 2 }, (_, i) =>
      i % (channels + 1) === 0 ? 1 : 0,
    );
    expect(await finished(sumsOf(none()))).toEqual({
      ...{ count: 0, isKnown: false },
      ...{ mean: new Float64Array(channels), covariance: identity },
    });
  });

  it('mini-batches and devices without any change no digit', async () => {
    const expected = await finished(sumsOf(all()));
    expect(expected.isKnown).toBe(true);
    expect(await finished(sumsOf(none(), all(), none()))).toEqual(expected);
    for (const [own, other] of [
      [none(), all()],
      [all(), none()],
    ] as const) {
      const sums = sumsOf(own);
      using others = sumsOf(other);
      await sums.merge(others);
      expect(await finished(sums)).toEqual(expected);
    }
  });

  it('neither is how far they have drifted', async () => {
    const plan = { moments: true, quantizerMoment: false, drift: true, positions: false };
    using sums = new GroupSums(device, sequence, plan);
    sums.add({ inputs: none(), reference: none() });
    sums.add({ inputs: all(), reference: all() }, false);
    using statistics = await sums.finish();
    expect(statistics.inputs).toMatchObject({ count: tokens, isKnown: false });
    expect(statistics.drift).toBeUndefined();
  });
});
