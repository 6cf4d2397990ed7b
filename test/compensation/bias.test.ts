// The bias of one linear and its certificate against the residuals of every token, formed in float64.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BiasGranularity, type BiasSource, fitBias } from '../../lib/compensation/index.js';
import { Device } from '../../lib/device/index.js';
import { at, expectClose, float32, normals } from '../native/harness.js';
import { correlated, energyOf, type Rows, residuals, statisticsOf } from './calibrated.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [sequence, channels, out] = [16, 24, 10];
const weight = normals(out * channels, 5);
/** Rounded to fourths: a residual with a mean. */
const quantized = weight.map((value) => Math.floor(4 * value) / 4);

interface Case {
  readonly x: Rows;
  readonly xHat?: Rows;
  readonly heldOut?: Rows;
  readonly granularity: BiasGranularity;
  readonly shrinkage?: number;
  readonly source?: BiasSource;
  readonly moments?: boolean;
}

async function fitted(given: Case) {
  const { x, xHat, heldOut, granularity, shrinkage = 0, source = 'output', moments = true } = given;
  const needs = { moments, drift: xHat !== undefined, positions: granularity === 'position' };
  const upload = (values: Float32Array) => float32(device, [out, channels], values);
  using statistics = await statisticsOf(
    device,
    sequence,
    needs,
    xHat === undefined ? { quantized: x } : { float: x, quantized: xHat },
  );
  const judge =
    heldOut === undefined
      ? undefined
      : await statisticsOf(device, sequence, needs, { quantized: heldOut });
  const operands = { weight: upload(weight), quantized: upload(quantized) };
  const input = { device, ...operands, granularity, source };
  const result = await fitBias({ ...input, fitted: statistics, heldOut: judge, shrinkage });
  judge?.dispose();
  return result;
}

/** Residuals after a bias [out] or [sequence · out] is added to the quantized side. */
function compensated(rows: Float64Array, bias: ArrayLike<number>): Float64Array {
  return rows.map((value, i) => value - at(bias, i % bias.length));
}

const near = (actual: number, expected: number) =>
  expect(Math.abs(actual / expected - 1), `${actual} for ${expected}`).toBeLessThan(1e-4);

const x = correlated(sequence * 40, channels, 1);
const xHat: Rows = { channels, values: x.values.map((value, i) => value * 0.9 + 0.1 * (i % 3)) };
const energy = energyOf(residuals(weight, new Float32Array(weight.length), x), out);

describe.each<[string, Rows | undefined]>([
  ['the layer on its own inputs', undefined],
  ['the float path as target', xHat],
])('%s', (_, inputs) => {
  const rows = residuals(weight, quantized, x, inputs);
  const of =
    inputs === undefined
      ? energy
      : energyOf(residuals(weight, new Float32Array(weight.length), inputs), out);

  it.each<BiasGranularity>(['channel', 'position'])('granularity %s', async (granularity) => {
    const { bias, certificate } = await fitted({
      x,
      granularity,
      ...(inputs === undefined ? {} : { xHat: inputs }),
    });
    if (bias === undefined) throw new Error('No bias.');
    expect(bias.length).toBe(granularity === 'channel' ? out : sequence * out);
    near(certificate.outputEnergy, of);
    near(certificate.error, energyOf(rows, out) / of);
    const after = compensated(rows, bias);
    near(certificate.errorWithBias, energyOf(after, out) / of);
    // The mean that is left, per entry of the bias.
    const left = new Float64Array(bias.length);
    after.forEach((value, i) => {
      left[i % bias.length] = at(left, i % bias.length) + (value * bias.length) / after.length;
    });
    expectClose(left, new Float64Array(bias.length), 1e-5);
    expect(certificate.biasKept).toBe(true);
    expect(certificate.errorWithBias).toBeLessThan(certificate.error);
    near(certificate.biasEnergy, certificate.error - certificate.errorWithBias);
  });
});

describe('a fitted bias', () => {
  it('is none where none is asked for', async () => {
    const { bias, certificate } = await fitted({ x, granularity: 'none', heldOut: x });
    expect(bias).toBeUndefined();
    expect(certificate).toMatchObject({ biasKept: false, biasEnergy: 0 });
    expect(certificate.errorWithBias).toBe(certificate.error);
    expect(certificate.heldOutErrorWithBias).toBe(certificate.heldOutError);
  });

  it('shrinks by n / (n + k), and its certificate is still exact', async () => {
    const observations = x.values.length / channels;
    const full = await fitted({ x, granularity: 'channel' });
    const half = await fitted({ x, granularity: 'channel', shrinkage: observations });
    const bias = half.bias ?? [];
    expectClose(bias, full.bias?.map((value) => value / 2) ?? [], 1e-9);
    const after = compensated(residuals(weight, quantized, x), bias);
    near(half.certificate.errorWithBias, energyOf(after, out) / energy);
  });

  it.each<BiasGranularity>(['channel', 'position'])('needs means alone, per %s', async (of) => {
    const others = correlated(sequence * 30, channels, 17);
    for (const rest of [{ heldOut: others }, { xHat, source: 'inputs' }] as const) {
      const known = await fitted({ x, granularity: of, ...rest });
      const { bias, certificate } = await fitted({ x, granularity: of, ...rest, moments: false });
      expect(bias).toEqual(known.bias);
      expect(certificate.biasKept).toBe(true);
    }
  });

  it('of positions counts samples as observations', async () => {
    const full = await fitted({ x, granularity: 'position' });
    const half = await fitted({ x, granularity: 'position', shrinkage: 40 });
    expectClose(half.bias ?? [], full.bias?.map((value) => value / 2) ?? [], 1e-6);
  });
});

describe('the held-out gate', () => {
  // Two samples, whose means are chance: of inputs without a mean no bias is worth anything.
  const few = correlated(sequence * 2, channels, 11, 0);
  const many = correlated(sequence * 200, channels, 13, 0);

  it('drops a bias that was fitted to noise', async () => {
    const kept = await fitted({ x: few, granularity: 'position' });
    expect(kept.certificate.biasKept).toBe(true);
    expect(kept.certificate.errorWithBias).toBeLessThan(0.6 * kept.certificate.error);
    const { bias, certificate } = await fitted({ x: few, heldOut: many, granularity: 'position' });
    expect(bias).toBeUndefined();
    expect(certificate.biasKept).toBe(false);
    expect(certificate.errorWithBias).toBe(certificate.error);
    expect(certificate.heldOutErrorWithBias).toBeGreaterThan(1.2 * (certificate.heldOutError ?? 0));
  });

  it('keeps one that the held-out tokens confirm, and says exactly what it does for them', async () => {
    const others = correlated(sequence * 30, channels, 17);
    const { bias, certificate } = await fitted({ x, heldOut: others, granularity: 'channel' });
    if (bias === undefined) throw new Error('No bias.');
    const rows = residuals(weight, quantized, others);
    near(certificate.heldOutError ?? 0, energyOf(rows, out) / energy);
    const after = energyOf(compensated(rows, bias), out) / energy;
    near(certificate.heldOutErrorWithBias ?? 0, after);
    expect(after).toBeLessThan(certificate.heldOutError ?? 0);
  });
});

describe('a constant on the inputs', () => {
  const drifted = { x, xHat, source: 'inputs' } as const;
  /** Q (x − x̂) of every token. */
  const drift = residuals(quantized, quantized, x, xHat);

  it.each<BiasGranularity>(['channel', 'position'])('is Q E[D], per %s', async (granularity) => {
    const { bias, certificate } = await fitted({ ...drifted, granularity });
    const period = granularity === 'channel' ? out : sequence * out;
    const expected = new Float64Array(period);
    drift.forEach((value, i) => {
      expected[i % period] = at(expected, i % period) + (value * period) / drift.length;
    });
    expectClose(bias ?? [], expected, 1e-4);
    const rows = residuals(weight, quantized, x, xHat);
    const of = energyOf(residuals(weight, new Float32Array(weight.length), xHat), out);
    near(certificate.errorWithBias, energyOf(compensated(rows, bias ?? []), out) / of);
    const { certificate: whole } = await fitted({ x, xHat, granularity });
    expect(whole.errorWithBias).toBeLessThan(certificate.errorWithBias);
  });

  it('is dropped where inputs have not drifted', async () => {
    for (const granularity of ['channel', 'position'] as const) {
      const { bias, certificate } = await fitted({ x, source: 'inputs', granularity });
      expect(bias).toBeUndefined();
      expect(certificate.errorWithBias).toBe(certificate.error);
    }
  });
});
