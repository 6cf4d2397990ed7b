// Tensors without rows, as an expert has them to which no token goes: every operation gives as few, of its right shape, or
// leaves the sum that it would add to as it is.

import { describe, expect, it } from 'vitest';
import type { Device, DType, Precision, Tensor } from '../../lib/device/index.js';
import {
  describeDevices,
  expectClose,
  float32,
  int32,
  normals,
  openDevice,
  productKinds,
} from './harness.js';

const channels = 24;

const none = (device: Device, columns = channels, dtype: DType = 'float32') =>
  device.cast(float32(device, [0, columns], []), dtype);

async function expectNone(tensor: Tensor, columns = channels, dtype: DType = 'float32') {
  expect(tensor.shape).toEqual([0, columns]);
  expect(tensor.dtype).toBe(dtype);
  expect((await tensor.read()).byteLength).toBe(0);
}

const activations = [
  'none',
  'relu',
  'gelu',
  'gelu_tanh',
  'quick_gelu',
  'silu',
  'sigmoid',
  'tanh',
] as const;
const operandTypes = ['float32', 'bfloat16'] as const;

function elementTests(device: Device): void {
  it('comes of an empty selection, and of an empty slice', async () => {
    const x = float32(device, [5, channels], normals(5 * channels));
    for (const dtype of ['float32', 'bfloat16', 'float16', 'int32', 'uint8'] as const) {
      const from = dtype === 'int32' || dtype === 'uint8' ? device.zeros(dtype, [5, channels]) : x;
      const typed = from === x ? device.cast(x, dtype) : from;
      await expectNone(device.selectRows(typed, int32(device, [])), channels, dtype);
      await expectNone(device.sliceRows(typed, 2, 2), channels, dtype);
    }
    await expectNone(device.selectRows(none(device), int32(device, [])));
    await expectNone(device.selectColumns(none(device), int32(device, [3, 3, 0])), 3);
    const beside = device.zeros('float32', [0, 2]);
    await expectNone(device.selectColumns(none(device), int32(device, [0, 5]), beside), 2);
    expect(device.transpose(none(device)).shape).toEqual([channels, 0]);
    expect((await device.transpose(none(device)).read()).byteLength).toBe(0);
  });

  it('is a copy without rows on another device, and nothing that is not finite', async () => {
    const copy = await none(device).copyTo(openDevice('generic'));
    await expectNone(copy);
    expect([...(await device.countNonFinite(none(device)).readFloat64())]).toEqual([0]);
  });

  it('goes through arithmetic', async () => {
    const x = none(device);
    const row = float32(device, [channels], normals(channels));
    for (const other of [x, row]) {
      await expectNone(device.add(x, other));
      await expectNone(device.subtract(x, other));
      for (const dtype of operandTypes) {
        await expectNone(device.multiply(x, other, dtype), channels, dtype);
      }
    }
    await expectNone(device.scale(x, 1 / 3));
    await expectNone(device.softcap(x, 30));
    for (const kind of activations) await expectNone(device.activate(kind, x));
    for (const dtype of ['float32', 'float16', 'bfloat16', 'float64'] as const) {
      await expectNone(device.cast(x, dtype), channels, dtype);
      await expectNone(device.cast(none(device, channels, dtype), 'float32'));
    }
  });

  it('goes through norms', async () => {
    const x = none(device);
    const weight = float32(device, [channels], normals(channels));
    const heads = float32(device, [channels / 3], normals(channels / 3));
    for (const dtype of operandTypes) {
      await expectNone(device.layerNorm(x, weight, weight, 1e-5, dtype), channels, dtype);
      await expectNone(device.layerNorm(x, undefined, undefined, 1e-5, dtype), channels, dtype);
      await expectNone(device.rmsNorm(x, weight, 1e-6, 1, dtype), channels, dtype);
      await expectNone(device.rmsNorm(x, heads, 1e-6, 0, dtype), channels, dtype);
    }
  });

  it('goes through the quantization of activations', async () => {
    const x = none(device);
    const sum = device.upload('float64', [channels], new Float64Array(channels).fill(7));
    const [one, each] = [1, channels].map((n) => float32(device, [n], new Float32Array(n).fill(1)));
    for (const channelSum of [undefined, sum]) {
      for (const symmetric of [false, true]) {
        const options = { bits: 8, symmetric, channelSum };
        await expectNone(device.fakeQuantize(x, { ...options, granularity: 'row' }));
        await expectNone(device.fakeQuantize(x, { ...options, granularity: 'tensor' }));
        await expectNone(
          device.fakeQuantize(x, { ...options, granularity: 'group', groupSize: 8 }),
        );
        for (const scales of [one, each]) {
          const fixed = { ...options, granularity: 'tensor', scales, zeros: scales } as const;
          await expectNone(device.fakeQuantize(x, fixed));
        }
      }
    }
    expect(new Set(await sum.readFloat64())).toEqual(new Set([7]));
  });

  it('goes through linear attention', async () => {
    const x = none(device);
    const weight = float32(device, [channels, 4], normals(4 * channels));
    const options = { sequence: 5, activation: 'silu' } as const;
    await expectNone(device.causalConvolution(x, weight, options));
    const rates = float32(device, [2], [0, 0]);
    const gates = {
      decay: none(device, 2),
      write: none(device, 2),
      logRate: rates,
      decayBias: rates,
    };
    const heads = { sequence: 5, keyHeads: 1, keySize: 4 };
    await expectNone(device.gatedDeltaRule(x, gates, heads), channels - 8);
  });

  it('goes to no experts', async () => {
    const logits = none(device, 8);
    const bias = float32(device, [8], normals(8));
    for (const scoring of ['softmax', 'sigmoid'] as const) {
      const chosen = device.chooseExperts(logits, { count: 3, scoring });
      await expectNone(chosen, 3, 'int32');
      await expectNone(device.chooseExperts(logits, { count: 3, scoring, bias }), 3, 'int32');
      for (const normalized of [false, true]) {
        const options = { scoring, normalized, scale: 1 };
        await expectNone(device.expertWeights(logits, chosen, options), 3);
      }
    }
    for (const dtype of operandTypes) {
      const pairs = device.clampedSwiglu(none(device), { slope: 1.702, limit: 7, dtype });
      await expectNone(pairs, channels / 2, dtype);
    }
    const before = normals(4 * channels);
    const sum = float32(device, [4, channels], before);
    const weights = float32(device, [4, 3], normals(12));
    device.addExpert(sum, none(device), int32(device, []), weights);
    expect(await sum.readFloat32()).toEqual(before);
    const nobody = none(device);
    device.addExpert(nobody, none(device), int32(device, []), none(device, 3));
    await expectNone(nobody);
  });
}

function productTests(device: Device, other: Device): void {
  it.each(['float32', 'float16', 'bfloat16'] as const)('times weights of %s', async (dtype) => {
    const out = 40;
    const values = float32(device, [out, channels], normals(out * channels));
    const [weight, bias] = [device.cast(values, dtype), float32(device, [out], normals(out))];
    for (const x of [none(device), none(device, channels, 'bfloat16')]) {
      for (const result of operandTypes) {
        for (const activation of activations) {
          for (const residual of [undefined, none(device, out)]) {
            const options = { bias, residual, activation, dtype: result };
            await expectNone(device.matmul(x, weight, options), out, result);
          }
        }
        const turned = device.transpose(weight);
        await expectNone(
          device.matmul(x, turned, { layout: 'in_out', dtype: result }),
          out,
          result,
        );
      }
    }
  });

  it.each([channels, 1100])('adds nothing to moments of %i channels', async (columns) => {
    const narrow = 17;
    const row = (n: number) => float32(device, [n], normals(n));
    for (const dtype of operandTypes) {
      const [x, y] = [none(device, columns, dtype), none(device, narrow, dtype)];
      const [before, mixed] = [normals(columns * columns, 1), normals(columns * narrow, 2)];
      const square = float32(device, [columns, columns], before);
      device.secondMoment(x, square);
      device.secondMoment(x, square, { shiftX: row(columns) });
      device.secondMoment(x, square, { y: x });
      expectClose(await square.readFloat32(), before, 0);
      const sum = float32(device, [columns, narrow], mixed);
      device.secondMoment(x, sum, { y });
      device.secondMoment(x, sum, { y, shiftX: row(columns), shiftY: row(narrow) });
      expectClose(await sum.readFloat32(), mixed, 0);
      const total = device.upload('float64', [columns], Float64Array.from(normals(columns, 3)));
      device.channelSum(x, total);
      expect(await total.readFloat64()).toEqual(Float64Array.from(normals(columns, 3)));
    }
  });

  // The first product that the device makes, so nothing is left of others that it could take.
  it('is a bias alone where there are no channels', async () => {
    const bias = normals(33, 4);
    const [x, weight] = [none(other, 7), none(other, 33)].map((empty) => other.transpose(empty));
    const out = other.matmul(x as Tensor, weight as Tensor, { bias: float32(other, [33], bias) });
    expect(out.shape).toEqual([7, 33]);
    const rows = Array.from({ length: 7 }, () => [...bias]);
    expect([...(await out.readFloat32())]).toEqual(rows.flat());
  });
}

describeDevices('no rows', productKinds, (kind) => {
  describe.each<Precision>(['float32', 'bfloat16'])('%s', (precision) => {
    const device = openDevice(kind, 2, precision);
    describe('rows alone', () => elementTests(device));
    describe('products', () => productTests(device, openDevice(kind, 2, precision)));
  });
});
