// What quantizers promise each other: the order of their errors, what options do to them, and what they refuse.

import { describe, expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import { diagonal } from '../../lib/quantizers/diagonal.js';
import {
  findQuantizer,
  type QuantizerOptions,
  quantizers,
  type Scheme,
} from '../../lib/quantizers/index.js';
import { at, float32, normals } from '../native/harness.js';

const [rows, columns, samples] = [24, 192, 400];

const device = Device.open('cpu');
const weight = float32(device, [rows, columns], normals(rows * columns, 1, 0.1));

/** Inputs with a common part, one loud channel and one that is never there. */
const inputs = normals(samples * columns, 2).map((noise, index) => {
  const j = index % columns;
  if (j === 5) return 0;
  const shared = at(normals(1, 1000 + Math.floor(index / columns)), 0);
  return (j === 9 ? 12 : 1 + (j % 5) / 3) * (noise + ((j % 4) - 1.5) * shared);
});
const moment = (() => {
  const x = device.transpose(float32(device, [samples, columns], inputs));
  return device.scale(device.matmul(x, x), 1 / samples);
})();

const plain: Scheme & QuantizerOptions = {
  bits: 3,
  groupSize: 0,
  symmetric: false,
  clip: 'none',
  scaleDtype: 'float32',
  superBlocks: false,
  damping: 0.01,
  actOrder: false,
  staticGroups: false,
  rounds: 3,
  order: 'cyclic',
  refit: 'none',
};

async function quantized(name: string, changes: Partial<Scheme & QuantizerOptions> = {}) {
  const quantizer = findQuantizer(name);
  const options = { ...plain, ...quantizer.defaults, ...changes };
  using group = await quantizer.forGroup({ device, moment, scheme: options, options });
  const { codes, scales, zeros, groupIndex } = group.quantize(weight);
  const delta = device.subtract(
    weight,
    device.dequantize(codes, scales, zeros, 'float32', groupIndex),
  );
  return { codes, scales, zeros, delta };
}

const total = async (rowErrors: Tensor) =>
  (await rowErrors.readFloat64()).reduce((sum, error) => sum + error, 0);

/** tr(ΔW M ΔWᵀ). */
async function error(name: string, changes: Partial<Scheme & QuantizerOptions> = {}) {
  const { delta } = await quantized(name, changes);
  return total(device.quadraticForm(delta, moment));
}

describe('quantizers', () => {
  it('have names of their own', () => {
    const names = quantizers.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(findQuantizer(name).name).toBe(name);
  });

  it.each([
    { bits: 3, groupSize: 0 },
    { bits: 2, groupSize: 64 },
    { bits: 4, groupSize: 96, symmetric: true },
    { bits: 2, groupSize: 32, scaleDtype: 'float16' },
  ] as const)('lose less the more they look at: %o', async (grid) => {
    const scheme = { ...grid, clip: 'mse' } as const;
    const [nearest, refitted, gptq, comq, descent] = [
      await error('rtn', scheme),
      await error('rtn', { ...scheme, refit: 'scales' }),
      await error('gptq', scheme),
      await error('comq', scheme),
      await error('descent', scheme),
    ];
    expect(refitted).toBeLessThan(nearest);
    expect(gptq).toBeLessThan(refitted);
    expect(comq).toBeLessThan(refitted);
    expect(descent).toBeLessThan(0.98 * gptq);
  });

  it.each(['gptq', 'descent', 'comq'])('refuse to do without a moment: %s', async (name) => {
    await expect(
      findQuantizer(name).forGroup({ device, scheme: plain, options: plain }),
    ).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });
});

describe('clipping', () => {
  it.each(['rtn', 'gptq'])('weighs channels by their moment: %s', async (name) => {
    // The loud channel is what a range must not cut.
    const loss = async (clip: Scheme['clip']) => {
      const { delta } = await quantized(name, { clip, bits: 4 });
      return total(device.quadraticForm(delta, moment));
    };
    expect(await loss('mse')).toBeLessThan(await loss('none'));
  });

  it('reads the diagonal', async () => {
    const values = await moment.readFloat32();
    const found = await diagonal(device, moment).readFloat32();
    expect(found).toEqual(
      Float32Array.from({ length: columns }, (_, j) => at(values, j * (columns + 1))),
    );
    expect(at(found, 5)).toBe(0);
  });

  it('without a moment weighs all alike', async () => {
    const scheme = { ...plain, clip: 'mse' as const };
    using group = await findQuantizer('rtn').forGroup({ device, scheme, options: plain });
    const { scales } = group.quantize(weight);
    const weighed = await quantized('rtn', { clip: 'mse' });
    expect(await scales.readFloat32()).not.toEqual(await weighed.scales.readFloat32());
  });
});

describe('refit', () => {
  it('of scales needs a moment', async () => {
    const options = { ...plain, refit: 'scales' as const };
    await expect(
      findQuantizer('rtn').forGroup({ device, scheme: plain, options }),
    ).rejects.toMatchObject({ code: 'ERR_ARGUMENT' });
  });

  it.each([
    { bits: 3 },
    { bits: 2, groupSize: 64 },
    { bits: 2, groupSize: 64, scaleDtype: 'float16' },
    { bits: 2, groupSize: 64, actOrder: true },
    { bits: 2, groupSize: 64, actOrder: true, staticGroups: true },
  ] as const)('of scales takes more off what a sweep leaves: %o', async (changes) => {
    const swept = await quantized('gptq', changes);
    const refitted = await quantized('gptq', { ...changes, refit: 'scales' });
    expect(await refitted.codes.readUint8()).toEqual(await swept.codes.readUint8());
    const [before, after] = [
      await total(device.quadraticForm(swept.delta, moment)),
      await total(device.quadraticForm(refitted.delta, moment)),
    ];
    expect(after).toBeLessThan(0.99 * before);
  });

  it('of a single scale to a row leaves no more than the least-squares solution', async () => {
    const { codes, scales, zeros } = await quantized('gptq', { refit: 'scales', damping: 0 });
    const ones = float32(device, [rows, 1], new Float32Array(rows).fill(1));
    const unit = device.dequantize(codes, ones, zeros, 'float32');
    const uw = await device.quadraticForm(unit, moment, { other: weight }).readFloat64();
    const uu = await device.quadraticForm(unit, moment).readFloat64();
    const ww = await device.quadraticForm(weight, moment).readFloat64();
    const found = await scales.readFloat32();
    for (const [row, scale] of found.entries()) {
      const best = at(uw, row) / at(uu, row);
      const least = at(ww, row) - best * at(uw, row);
      expect(at(uu, row) * (scale - best) ** 2).toBeLessThan(1e-6 * least);
    }
  });

  it('brings less with each round', async () => {
    const errors = [];
    for (const rounds of [1, 2, 8]) errors.push(await error('descent', { rounds, damping: 1e-6 }));
    const [first, second, last] = [at(errors, 0), at(errors, 1), at(errors, 2)];
    expect(second).toBeLessThan(first);
    expect(last).toBeLessThanOrEqual(second);
    expect(first - second).toBeGreaterThan(second - last);
  });

  it('goes through columns in the order that is asked for', async () => {
    const cyclic = await quantized('descent', { order: 'cyclic' });
    const greedy = await quantized('descent', { order: 'greedy' });
    expect(await greedy.codes.readUint8()).not.toEqual(await cyclic.codes.readUint8());
  });
});

describe('gptq', () => {
  it.each([{ actOrder: true }, { actOrder: true, staticGroups: true }])(
    'clips in any order: %o',
    async (order) => {
      const scheme = { bits: 2, groupSize: 64, clip: 'mse', ...order } as const;
      expect(await error('gptq', scheme)).toBeLessThan(await error('rtn', scheme));
    },
  );
});
