// What the tests of native operations share: a device for every instruction set of the machine and every GPU, seeded
// numbers, and comparison of whole arrays. A GPU is held to the same bounds as the CPU.

import { describe, expect, it } from 'vitest';
import {
  Device,
  type DType,
  type GridOptions,
  listDevices,
  type Precision,
  type Tensor,
} from '../../lib/device/index.js';

/**
 * The GPU of this name, perhaps with the kernel that its products shall run on, as in cuda:0+mma.sync, or a CPU device of
 * this kind, whatever the environment says: an instruction set, by itself or with how it forms float32 products, as in
 * avx512_bf16+six; nothing after the + is the machine's own choice.
 */
export function openDevice(kind: string, threads = 2, precision: Precision = 'float32'): Device {
  if (kind.startsWith('cuda:')) {
    const [name = '', kernel] = kind.split('+');
    const variables = kernel ? { BALLAST_CUDA_PRODUCTS: kernel } : {};
    return withEnvironment(variables, () => Device.open(name, { precision }));
  }
  const [instructionSet = '', float32Products = 'fma'] = kind.split('+');
  const variables = {
    BALLAST_INSTRUCTION_SET: instructionSet,
    BALLAST_FLOAT32_PRODUCTS: float32Products,
  };
  return withEnvironment(variables, () => Device.open('cpu', { threads, precision }));
}

function withEnvironment<T>(variables: Readonly<Record<string, string>>, body: () => T): T {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

function isAvailable(kind: string): boolean {
  try {
    openDevice(kind).close();
    return true;
  } catch {
    return false;
  }
}

/** Those of the row-wise kernels' instruction sets that this machine can run. */
export const instructionSets = ['generic', 'avx2', 'avx512'].filter(isAvailable);

/** And those of matrix products. */
export const productInstructionSets = [
  ...instructionSets,
  ...['avx512_bf16', 'amx_bf16'].filter(isAvailable),
];

/** Those that form float32 products of bfloat16 ones. */
export const splitKinds = [
  'avx512_bf16+three',
  'avx512_bf16+six',
  'amx_bf16+three',
  'amx_bf16+six',
].filter(isAvailable);

/** Those of the algebra on moments, which takes six products of them or none. */
export const algebraKinds = [
  ...productInstructionSets,
  ...splitKinds.filter((kind) => kind.endsWith('+six')),
];

/** GPUs that can be used. */
export const gpus = listDevices()
  .filter(({ name, available }) => available && name.startsWith('cuda:'))
  .map(({ name }) => name);

/** Every way to make matrix products, with the second kernel of GPUs that have two. */
export const productKinds = [
  ...productInstructionSets,
  ...splitKinds,
  ...gpus.filter((gpu) => isAvailable(`${gpu}+wgmma`)).map((gpu) => `${gpu}+mma.sync`),
];

/** What float32 products of this kind may lose, next to those of float32 multiply-adds (split.test.ts is exact). */
export const lossOf = (kind: string) => (kind.endsWith('+three') ? 16 : 1);

/** The tests of `body` on each of these kinds of CPU and on each GPU; without one they are skipped, in sight. */
export function describeDevices(
  title: string,
  kinds: readonly string[],
  body: (kind: string) => void,
): void {
  describe.each([...kinds, ...gpus])(`${title} (%s)`, body);
  describe.skipIf(gpus.length > 0)(`${title} (cuda)`, () => {
    it.skip('runs where there is a GPU', () => {});
  });
}

/** Four bits and one scale a row, without a clipping search. */
export const plainGrid: GridOptions = {
  bits: 4,
  groupSize: 0,
  symmetric: false,
  clipSteps: 0,
  clipRange: 0.8,
  clipExponent: 2.4,
  scaleDtype: 'float32',
};

/** Normal deviates from a seed (mulberry32, Box–Muller). */
export function normals(count: number, seed = 1, deviation = 1, mean = 0): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const values = new Float32Array(count);
  for (let i = 0; i < count; ++i) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    values[i] = mean + deviation * radius * Math.cos(2 * Math.PI * uniform());
  }
  return values;
}

export function float32(device: Device, shape: readonly number[], data: Iterable<number>): Tensor {
  return device.upload('float32', shape, Float32Array.from(data));
}

export function int32(device: Device, data: Iterable<number>): Tensor {
  const values = Int32Array.from(data);
  return device.upload('int32', [values.length], values);
}

/** 16-bit floats by their patterns. */
export function patterns(
  device: Device,
  dtype: DType,
  shape: readonly number[],
  data: Iterable<number>,
): Tensor {
  return device.upload(dtype, shape, Uint16Array.from(data));
}

/** Element `index`; an array that is too short fails the test. */
export function at(values: ArrayLike<number>, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`No element ${index} among ${values.length}.`);
  return value;
}

/** A float32 number rounded to bfloat16, half to even. */
export function toBfloat16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer);
  const pattern = at(bits, 0);
  bits[0] = ((pattern + 0x7fff + ((pattern >>> 16) & 1)) & 0xffff0000) >>> 0;
  return at(new Float32Array(bits.buffer), 0);
}

/** Every element within `tolerance` absolutely; NaN and infinities must match exactly. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; ++i) {
    const [a, e] = [at(actual, i), at(expected, i)];
    if (Object.is(a, e) || a === e || Math.abs(a - e) <= tolerance) continue;
    expect.fail(`Expected ${e} within ${tolerance} at ${i} but received ${a}.`);
  }
}

/** round(x), half to even. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Σ_i a_i b_i; shorter operands fail the test. References spend their time here. */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; ++i) sum += (a[i] ?? Number.NaN) * (b[i] ?? Number.NaN);
  return sum;
}

/** x M yᵀ, M = matrix + damping·mean(diag)·I. */
export function dampedForm(
  matrix: Float32Array,
  damping: number,
  x: Float64Array,
  y: Float64Array,
): number {
  const n = x.length;
  let diagonal = 0;
  for (let j = 0; j < n; ++j) diagonal += at(matrix, j * (n + 1)) / n;
  let sum = damping * diagonal * dot(x, y);
  for (let i = 0; i < n; ++i) {
    if (at(x, i) === 0) continue;
    sum += at(x, i) * dot(Float64Array.from(matrix.subarray(i * n, (i + 1) * n)), y);
  }
  return sum;
}

/** The moment of inputs that have something in common, but for `dead` channels, which are zero. */
export function commonMoment(columns: number, dead: readonly number[] = []): Float32Array {
  const samples = columns + 8;
  const shared = normals(samples, 3);
  const x = normals(samples * columns, 2).map((v, i) =>
    dead.includes(i % columns) ? 0 : v + at(shared, Math.floor(i / columns)),
  );
  return momentOf(x, columns);
}

/** xᵀ x / samples of x [samples, columns], in float64, then rounded. */
export function momentOf(x: ArrayLike<number>, columns: number): Float32Array {
  const samples = x.length / columns;
  const channels = Array.from({ length: columns }, (_, i) =>
    Float64Array.from({ length: samples }, (_, n) => at(x, n * columns + i)),
  );
  const matrix = new Float32Array(columns * columns);
  for (const [i, one] of channels.entries()) {
    for (const [j, other] of channels.entries()) {
      if (j > i) break;
      matrix[i * columns + j] = matrix[j * columns + i] = dot(one, other) / samples;
    }
  }
  return matrix;
}
