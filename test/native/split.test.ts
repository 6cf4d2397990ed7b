// float32 products made of bfloat16 ones, against float64 sums and within the bounds that native/cpu/kernels/split.h
// states: random numbers, the worst there are, all exponents, long sums, and what is not finite. And who takes them.

import { describe, expect, it } from 'vitest';
import type { DType } from '../../lib/device/index.js';
import { at, float32, normals, openDevice, productInstructionSets, splitKinds } from './harness.js';

/** What a sum of n products may be off by, relative to Σ|a·b|; `fma` is that of float32 multiply-adds. */
const bounds: Readonly<Record<string, (n: number) => number>> = {
  three: (n) => 2 ** -15 + 1.1 * (Math.min(n, 512) + n / 512) * 2 ** -24,
  six: (n) => (1 + 1.1 * (Math.min(n, 320) + n / 320)) * 2 ** -24,
  fma: (n) => (Math.min(n, 512) + n / 512) * 2 ** -24,
};
/** And what it may be off by where numbers are below the normal ones, relative to Σ(|a| + |b| + 6). */
const tiny = 2 ** -124;

const productsOf = (kind: string) => kind.split('+')[1] ?? 'fma';

interface Operands {
  /** [rows, depth] and [columns, depth]. */
  a: Float32Array;
  b: Float32Array;
  depth: number;
  /** What they are held in; float32 unless told otherwise. */
  dtypes?: readonly [left: DType, right: DType];
}

async function multiply(kind: string, operands: Operands): Promise<Float32Array> {
  const { a, b, depth, dtypes = ['float32', 'float32'] } = operands;
  const device = openDevice(kind);
  const x = device.cast(float32(device, [a.length / depth, depth], a), dtypes[0]);
  const weight = device.cast(float32(device, [b.length / depth, depth], b), dtypes[1]);
  const out = await device.matmul(x, weight).readFloat32();
  device.close();
  return out;
}

/** The numbers that `dtype` holds instead of these. */
async function rounded(values: Float32Array, dtype: DType): Promise<Float32Array> {
  const device = openDevice('generic');
  const tensor = float32(device, [values.length], values);
  const held = await device.cast(device.cast(tensor, dtype), 'float32').readFloat32();
  device.close();
  return held;
}

const energy = (values: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < values.length; ++i) sum += at(values, i) ** 2;
  return sum;
};

/** [rows, columns], in float64. */
function exactly({ a, b, depth }: Operands): Float64Array {
  const columns = b.length / depth;
  return Float64Array.from({ length: (a.length / depth) * columns }, (_, index) => {
    const [i, j] = [Math.floor(index / columns), index % columns];
    let sum = 0;
    for (let k = 0; k < depth; ++k) sum += at(a, i * depth + k) * at(b, j * depth + k);
    return sum;
  });
}

/** Every element within the bound; the largest error found, relative to Σ|a·b|. */
function expectWithinBound(kind: string, out: Float32Array, { a, b, depth }: Operands): number {
  const bound = bounds[productsOf(kind)]?.(depth) ?? 0;
  const columns = b.length / depth;
  const expected = exactly({ a, b, depth });
  let worst = 0;
  out.forEach((actual, index) => {
    const [i, j] = [Math.floor(index / columns), index % columns];
    let [magnitude, count] = [0, 0];
    for (let k = 0; k < depth; ++k) {
      const [left, right] = [Math.abs(at(a, i * depth + k)), Math.abs(at(b, j * depth + k))];
      magnitude += left * right;
      count += left + right + 6;
    }
    const sum = at(expected, index);
    const error = Math.abs(actual - sum);
    if (!(error <= bound * magnitude + tiny * count)) {
      expect.fail(`Expected ${sum} at (${i}, ${j}) but received ${actual}, Σ|a·b| = ${magnitude}.`);
    }
    worst = Math.max(worst, error / magnitude);
  });
  return worst;
}

/** ±2^e · m with e uniform in [−range, range] and m of `mantissa`. */
function scaled(count: number, seed: number, range: number, mantissa = () => 1): Float32Array {
  const exponents = normals(count, seed);
  return normals(count, seed + 1).map((x, i) => {
    const exponent = Math.round(range * Math.sin(1e3 * at(exponents, i)));
    return Math.sign(x) * (1 + (Math.abs(x) % 1)) * mantissa() * 2 ** exponent;
  });
}

describe.skipIf(splitKinds.length === 0).each(splitKinds)(
  'float32 products by bfloat16 ones (%s)',
  (kind) => {
    it.each([1, 2, 31, 33, 320, 321, 512, 513, 1000, 5000])(
      'random numbers, depth %i',
      async (depth) => {
        const operands = { a: normals(15 * depth, 1), b: normals(33 * depth, 2), depth };
        expectWithinBound(kind, await multiply(kind, operands), operands);
      },
    );

    it.each<[DType, DType]>([
      ['float32', 'bfloat16'],
      ['float32', 'float16'],
      ['bfloat16', 'float32'],
      ['bfloat16', 'bfloat16'],
      ['bfloat16', 'float16'],
    ])('%s by %s, of which fewer parts are made', async (left, right) => {
      for (const depth of [1, 33, 320, 321, 1000]) {
        const a = await rounded(normals(15 * depth, 1), left);
        const b = await rounded(normals(33 * depth, 2), right);
        const operands: Operands = { a, b, depth, dtypes: [left, right] };
        expectWithinBound(kind, await multiply(kind, operands), operands);
      }
    });

    it('infinities and NaN of 16 bits stay in sight', async () => {
      const depth = 40;
      const [a, b] = [normals(5 * depth, 1), normals(40 * depth, 2)];
      b[3 * depth + 8] = Number.NaN;
      b[4 * depth + 8] = Number.POSITIVE_INFINITY;
      for (const dtype of ['float16', 'bfloat16'] as const) {
        const operands: Operands = { a, b, depth, dtypes: ['float32', dtype] };
        const out = await multiply(kind, operands);
        out.forEach((y, index) => {
          expect(Number.isFinite(y)).toBe(![3, 4].includes(index % 40));
        });
      }
    });

    it('a sum of 60,000', async () => {
      const depth = 60_000;
      const operands = { a: normals(3 * depth, 1, 1, 1), b: normals(4 * depth, 2, 1, 1), depth };
      expectWithinBound(kind, await multiply(kind, operands), operands);
    });

    it('the worst numbers keep the bound, and those of three products come near it', async () => {
      // The largest that rounds down twice: m = 2⁻⁸ − 2⁻¹⁶ and l = 2⁻¹⁷ − 2⁻²³ at once, and all terms of one sign.
      const worst = 1 + 2 ** -8 - 2 ** -17 - 2 ** -23;
      const depth = 320;
      const signs = normals(depth, 3).map(Math.sign);
      const operands = {
        a: Float32Array.from({ length: 4 * depth }, (_, i) => worst * at(signs, i % depth)),
        b: Float32Array.from({ length: 40 * depth }, (_, i) => worst * at(signs, i % depth)),
        depth,
      };
      const largest = expectWithinBound(kind, await multiply(kind, operands), operands);
      if (productsOf(kind) === 'three') expect(largest).toBeGreaterThan(0.95 * 2 ** -15);
    });

    it('numbers of all magnitudes', async () => {
      const depth = 400;
      const operands = { a: scaled(15 * depth, 1, 50), b: scaled(40 * depth, 5, 50), depth };
      expectWithinBound(kind, await multiply(kind, operands), operands);
    });

    it('numbers near the least normal one, and below', async () => {
      const depth = 70;
      const small = scaled(15 * depth, 1, 12).map((x) => x * 2 ** -120);
      const operands = { a: small, b: scaled(40 * depth, 5, 12), depth };
      const out = await multiply(kind, operands);
      expectWithinBound(kind, out, operands);
      expect(out.every((x) => x !== 0)).toBe(true);
    });

    it('the largest finite numbers stay finite', async () => {
      const largest = (2 - 2 ** -23) * 2 ** 127;
      const operands = {
        a: Float32Array.of(largest, largest, -largest),
        b: Float32Array.of(2 ** -3, -(2 ** -4), 2 ** -2),
        depth: 3,
      };
      expectWithinBound(kind, await multiply(kind, operands), operands);
    });

    it('infinities and NaN stay what they are, in their row and column alone', async () => {
      const depth = 40;
      const operands = { a: normals(5 * depth, 1), b: normals(40 * depth, 2), depth };
      operands.a[2 * depth + 7] = Number.POSITIVE_INFINITY;
      operands.b[3 * depth + 8] = Number.NaN;
      const out = await multiply(kind, operands);
      for (let i = 0; i < 5; ++i) {
        for (let j = 0; j < 40; ++j) {
          const y = at(out, i * 40 + j);
          if (j === 3) expect(y).toBeNaN();
          else if (i === 2)
            expect(y).toBe(at(operands.b, j * depth + 7) * Number.POSITIVE_INFINITY);
          else expect(Number.isFinite(y)).toBe(true);
        }
      }
    });

    it.each([
      [1000, 'multiply-adds'],
      [1024, 'those'],
    ])('second moments of %i channels are made of %s', async (channels, products) => {
      const tokens = 300;
      const x = normals(tokens * channels, 1);
      const device = openDevice(kind);
      const sum = device.zeros('float32', [channels, channels]);
      device.secondMoment(float32(device, [tokens, channels], x), sum);
      const row = (await sum.readFloat32()).subarray(0, channels);
      device.close();
      const expected = Float64Array.from(row, (_, j) => {
        let moment = 0;
        for (let t = 0; t < tokens; ++t) moment += at(x, t * channels) * at(x, t * channels + j);
        return moment;
      });
      const errors = row.map((y, j) => y - at(expected, j));
      const loss = Math.sqrt(energy(errors) / energy(expected));
      const coarse = products === 'those' && productsOf(kind) === 'three';
      if (coarse) expect(Math.log2(loss)).toBeCloseTo(-18, 0);
      else expect(loss).toBeLessThan(2 ** -21);
    });

    it('typical sums lose a part in 2¹⁸ of three products, and of six no more than multiply-adds do', async () => {
      const depth = 1000;
      const operands = { a: normals(30 * depth, 1), b: normals(64 * depth, 2), depth };
      const expected = exactly(operands);
      const lossOf = async (how: string) => {
        const errors = (await multiply(how, operands)).map((y, i) => y - at(expected, i));
        return Math.sqrt(energy(errors) / energy(expected));
      };
      const [loss, plain] = [await lossOf(kind), await lossOf('avx512')];
      if (productsOf(kind) === 'six') expect(loss).toBeLessThan(plain);
      else expect(Math.log2(loss)).toBeCloseTo(-18, 0);
    });
  },
);

describe('float32 products', () => {
  const descriptionOf = (kind: string) => {
    const device = openDevice(kind);
    const { description } = device;
    device.close();
    return description;
  };

  it('are multiply-adds unless told otherwise; six bfloat16 ones with AMX', () => {
    for (const set of productInstructionSets) {
      const products = set === 'amx_bf16' ? ', float32 by six bfloat16 products' : '';
      expect(descriptionOf(`${set}+`)).toBe(`${set}${products}, 2 threads`);
      expect(descriptionOf(`${set}+fma`)).toBe(`${set}, 2 threads`);
    }
    for (const kind of splitKinds) {
      const products = `float32 by ${productsOf(kind)} bfloat16 products`;
      expect(descriptionOf(kind)).toBe(`${kind.split('+')[0]}, ${products}, 2 threads`);
    }
  });

  it.each(['three', 'six', 'float'])('refuse %s where it is not there', (products) => {
    expect(() => openDevice(`generic+${products}`)).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: `Expected fma (what generic has) for BALLAST_FLOAT32_PRODUCTS but received '${products}'.`,
      }),
    );
  });
});
