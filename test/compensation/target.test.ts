// The asymmetric target against the least-squares problem that it solves, in float64.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asymmetricTarget } from '../../lib/compensation/index.js';
import { Device } from '../../lib/device/index.js';
import { at, expectClose, float32, normals } from '../native/harness.js';
import { correlated, energyOf, type Rows, residuals, statisticsOf } from './calibrated.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [sequence, channels, out, tokens] = [16, 12, 5, 640];
const weight = normals(out * channels, 5);
const quantizedPath = correlated(tokens, channels, 1);
const noise = normals(tokens * channels, 9, 0.1, 0.05);
/** The float path: the quantized one, scaled by channel and moved. */
const floatPath: Rows = {
  channels,
  values: quantizedPath.values.map(
    (value, i) => value * (1 + 0.02 * (i % channels)) + at(noise, i),
  ),
};

/** Rows of one path with a constant 1 as one more channel: a bias is fitted with the weights. */
function withConstant({ values }: Rows): Float64Array {
  return Float64Array.from({ length: tokens * (channels + 1) }, (_, i) => {
    const [token, channel] = [Math.floor(i / (channels + 1)), i % (channels + 1)];
    return channel === channels ? 1 : at(values, token * channels + channel);
  });
}

/** The weights V [out, n] that minimise Σ‖y − V x‖² + ridge·tokens·‖V − W‖², by Gaussian elimination. */
function leastSquares(
  y: Float64Array,
  x: Float64Array,
  prior: Float64Array,
  ridge: Float64Array,
): Float64Array {
  const n = x.length / tokens;
  const rows = y.length / tokens;
  const solution = new Float64Array(rows * n);
  for (let row = 0; row < rows; row++) {
    const system = Array.from({ length: n }, (_, i) => {
      const equation = new Float64Array(n + 1);
      for (let t = 0; t < tokens; t++) {
        const left = at(x, t * n + i);
        for (let j = 0; j < n; j++) equation[j] = at(equation, j) + left * at(x, t * n + j);
        equation[n] = at(equation, n) + left * at(y, t * rows + row);
      }
      equation[i] = at(equation, i) + at(ridge, i) * tokens;
      equation[n] = at(equation, n) + at(ridge, i) * tokens * at(prior, row * n + i);
      return equation;
    });
    solve(system).forEach((value, i) => {
      solution[row * n + i] = value;
    });
  }
  return solution;
}

function solve(system: Float64Array[]): number[] {
  const n = system.length;
  const pick = (i: number) => system[i] ?? new Float64Array();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      if (k === i) continue;
      const factor = at(pick(k), i) / at(pick(i), i);
      pick(k).forEach((value, j) => {
        pick(k)[j] = value - factor * at(pick(i), j);
      });
    }
  }
  return system.map((equation, i) => at(equation, n) / at(equation, i));
}

async function targetOf(centred: boolean, damping: number) {
  using group = await statisticsOf(
    device,
    sequence,
    { drift: true },
    { float: floatPath, quantized: quantizedPath },
  );
  using target = asymmetricTarget(device, group, centred, damping);
  using solved = target(float32(device, [out, channels], weight));
  const { inputs } = group;
  const moment = await (centred ? inputs.covariance : inputs.secondMoment).readFloat32();
  let trace = 0;
  for (let i = 0; i < channels; i++) trace += at(moment, i * channels + i);
  return { solved: await solved.readFloat32(), ridge: (damping * trace) / channels };
}

const zeros = new Float32Array(weight.length);
const wanted = residuals(weight, zeros, floatPath);

describe('the asymmetric target', () => {
  it.each([1e-6, 0.01])('solves the damped least-squares problem, damping %s', async (damping) => {
    const { solved, ridge } = await targetOf(false, damping);
    const x = Float64Array.from(quantizedPath.values);
    const expected = leastSquares(
      wanted,
      x,
      Float64Array.from(weight),
      new Float64Array(channels).fill(ridge),
    );
    expectClose(solved, expected, 2e-4);
  });

  it('solves it together with a free bias where moments are centred', async () => {
    const { solved, ridge } = await targetOf(true, 0.01);
    const ridges = new Float64Array(channels + 1).fill(ridge).with(channels, 0);
    const prior = Float64Array.from({ length: out * (channels + 1) }, (_, i) => {
      const [row, channel] = [Math.floor(i / (channels + 1)), i % (channels + 1)];
      return channel === channels ? 0 : at(weight, row * channels + channel);
    });
    const expected = leastSquares(wanted, withConstant(quantizedPath), prior, ridges);
    const own = expected.filter((_, i) => i % (channels + 1) !== channels);
    expectClose(solved, own, 2e-4);
  });

  it('reproduces the float path better than the layer’s own weight', async () => {
    const { solved } = await targetOf(false, 1e-6);
    const own = energyOf(residuals(weight, weight, floatPath, quantizedPath), out);
    const best = energyOf(residuals(weight, solved, floatPath, quantizedPath), out);
    expect(best).toBeLessThan(0.5 * own);
    for (const seed of [1, 2, 3]) {
      const step = normals(solved.length, seed, 1e-2);
      const moved = solved.map((value, i) => value + at(step, i));
      expect(energyOf(residuals(weight, moved, floatPath, quantizedPath), out)).toBeGreaterThan(
        best,
      );
    }
  });

  it('is the weight itself where the paths have not parted', async () => {
    using group = await statisticsOf(device, sequence, {}, { quantized: quantizedPath });
    using target = asymmetricTarget(device, group, true, 0.01);
    using same = target(float32(device, [out, channels], weight));
    expect(await same.readFloat32()).toEqual(weight);
  });
});
