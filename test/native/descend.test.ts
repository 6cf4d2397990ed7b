// Coordinate descent and refits of scales: against a plain float64 program of the definition, against the error that
// its codes and scales really have, and against every change of a single code.

import { expect, it } from 'vitest';
import type { DescendOptions, Device } from '../../lib/device/index.js';
import {
  algebraKinds,
  at,
  describeDevices,
  float32,
  instructionSets,
  momentOf,
  normals,
  openDevice,
  roundHalfEven,
} from './harness.js';

const block = 128;

interface Problem {
  readonly rows: number;
  readonly columns: number;
  readonly groupSize: number;
  readonly weight: Float32Array;
  readonly matrix: Float32Array;
}

interface Codes {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

type Result = Codes & { readonly errors: Float64Array };

const options = (changes: Partial<DescendOptions> = {}): DescendOptions => ({
  bits: 3,
  scaleDtype: 'float32',
  rounds: 3,
  sweeps: 2,
  refit: true,
  greedy: false,
  unrounded: false,
  damping: 0,
  tolerance: 0,
  ...changes,
});

/** The covariance of inputs that have a good deal in common. */
function covariance(columns: number): Float32Array {
  const samples = columns + 16;
  const shared = normals(samples, 4);
  const x = normals(samples * columns, 3).map((noise, index) => {
    const j = index % columns;
    return (1 + (j % 7) / 4) * (noise + ((j % 3) - 1) * at(shared, Math.floor(index / columns)));
  });
  return momentOf(x, columns);
}

function problem(rows: number, columns: number, groupSize = 0): Problem {
  const weight = normals(rows * columns, 1, 0.1);
  return { rows, columns, groupSize, weight, matrix: covariance(columns) };
}

const cases: [string, Problem, Partial<DescendOptions>][] = [
  ['whole rows in one block', problem(5, 40), {}],
  ['whole rows over several blocks', problem(19, 300), {}],
  ['whole rows of one column more than a block', problem(3, 129), { bits: 4 }],
  ['groups inside a block', problem(33, 256, 64), { bits: 2 }],
  ['groups that do not divide a block', problem(17, 288, 96), {}],
  ['groups of more than a block', problem(9, 320, 160), {}],
  ['half scales', problem(9, 192, 32), { scaleDtype: 'float16' }],
  ['codes alone', problem(9, 130), { refit: false }],
  ['scales alone', problem(9, 256, 64), { sweeps: 0 }],
  ['greedy', problem(18, 260, 52), { greedy: true }],
  ['from unrounded codes', problem(18, 256, 64), { unrounded: true }],
  ['greedy, whole rows, from unrounded codes', problem(7, 200), { unrounded: true, greedy: true }],
  ['damped', problem(7, 160, 32), { damping: 0.1 }],
];

/** Rounding to nearest, on the device. */
async function start(device: Device, p: Problem, bits: number): Promise<Codes> {
  const weight = float32(device, [p.rows, p.columns], p.weight);
  const { scales, zeros } = device.findScales(weight, {
    bits,
    groupSize: p.groupSize,
    symmetric: false,
    clipSteps: 0,
    clipRange: 0,
    clipExponent: 2,
    scaleDtype: 'float32',
  });
  const codes = device.quantize(weight, scales, zeros, bits);
  return {
    codes: await codes.readUint8(),
    scales: await scales.readFloat32(),
    zeros: await zeros.readFloat32(),
  };
}

async function descend(
  device: Device,
  p: Problem,
  from: Codes,
  changes: Partial<DescendOptions>,
): Promise<Result> {
  const groups = from.scales.length / p.rows;
  const { codes, scales, errors } = device.descend(
    float32(device, [p.rows, p.columns], p.weight),
    float32(device, [p.columns, p.columns], p.matrix),
    {
      codes: device.upload('uint8', [p.rows, p.columns], from.codes),
      scales: float32(device, [p.rows, groups], from.scales),
      zeros: float32(device, [p.rows, groups], from.zeros),
    },
    options(changes),
  );
  return {
    codes: await codes.readUint8(),
    scales: await scales.readFloat32(),
    zeros: from.zeros,
    errors: await errors.readFloat64(),
  };
}

/** M with its damping. */
function damped({ matrix, columns }: Problem, damping: number): Float64Array {
  let trace = 0;
  for (let j = 0; j < columns; ++j) trace += at(matrix, j * (columns + 1));
  return Float64Array.from(matrix, (value, index) =>
    index % (columns + 1) === 0 ? value + (damping * trace) / columns : value,
  );
}

/** A row's ΔW and r = ΔW M. */
class Row {
  readonly delta: Float64Array;
  readonly residual: Float64Array;
  readonly #size: number;
  readonly #matrix: Float64Array;

  constructor(p: Problem, { codes, scales, zeros }: Codes, row: number, matrix: Float64Array) {
    const { columns } = p;
    const groups = scales.length / p.rows;
    this.#size = columns;
    this.#matrix = matrix;
    this.residual = new Float64Array(columns);
    this.delta = Float64Array.from({ length: columns }, (_, j) => {
      const group = row * groups + Math.floor((j * groups) / columns);
      const unit = at(codes, row * columns + j) - at(zeros, group);
      return at(p.weight, row * columns + j) - at(scales, group) * unit;
    });
    this.delta.forEach((value, j) => {
      this.#add(j, value);
    });
  }

  get error(): number {
    return this.delta.reduce((sum, value, j) => sum + value * at(this.residual, j), 0);
  }

  /** ΔW_j −= moved. */
  move(j: number, moved: number): void {
    this.delta[j] = at(this.delta, j) - moved;
    this.#add(j, -moved);
  }

  #add(j: number, value: number): void {
    for (let k = 0; k < this.#size; ++k) {
      this.residual[k] = at(this.residual, k) + value * at(this.#matrix, j * this.#size + k);
    }
  }
}

function trueError(p: Problem, codes: Codes, damping: number): number {
  const matrix = damped(p, damping);
  let error = 0;
  for (let row = 0; row < p.rows; ++row) error += new Row(p, codes, row, matrix).error;
  return error;
}

/** The definition, one row after the other, one step after the other, in float64. */
function naive(p: Problem, from: Codes, { bits, rounds, sweeps }: DescendOptions): Codes {
  const result = { ...from, codes: from.codes.slice(), scales: from.scales.slice() };
  const { codes, scales, zeros } = result;
  const groups = scales.length / p.rows;
  const size = p.columns / groups;
  const matrix = damped(p, 0);
  for (let row = 0; row < p.rows; ++row) {
    const state = new Row(p, from, row, matrix);
    const refit = (group: number) => {
      const place = row * groups + group;
      const unit = (j: number) => at(codes, row * p.columns + j) - at(zeros, place);
      let slope = 0;
      let curvature = 0;
      for (let j = group * size; j < (group + 1) * size; ++j) {
        slope += unit(j) * at(state.residual, j);
        for (let k = group * size; k < (group + 1) * size; ++k) {
          curvature += unit(j) * unit(k) * at(matrix, j * p.columns + k);
        }
      }
      const scale = Math.fround(at(scales, place) + slope / curvature);
      const change = scale - at(scales, place);
      scales[place] = scale;
      for (let j = group * size; j < (group + 1) * size; ++j) state.move(j, change * unit(j));
    };
    const step = (j: number) => {
      const scale = at(scales, row * groups + Math.floor(j / size));
      const code = at(codes, row * p.columns + j);
      const best = code + at(state.residual, j) / (scale * at(matrix, j * (p.columns + 1)));
      const next = Math.min(Math.max(roundHalfEven(best), 0), 2 ** bits - 1);
      codes[row * p.columns + j] = next;
      state.move(j, scale * (next - code));
    };
    for (let round = 0; round < rounds; ++round) {
      for (let begin = 0, end = 0; begin < p.columns; begin = end) {
        const whole = Math.floor(block / size) * size;
        end = Math.min(begin + (whole > 0 ? whole : block), p.columns);
        if (whole === 0) end = Math.min(end, (Math.floor(begin / size) + 1) * size);
        for (let group = Math.ceil(begin / size); group * size < end; ++group) refit(group);
        for (let sweep = 0; sweep < sweeps; ++sweep) {
          for (let j = begin; j < end; ++j) step(j);
        }
      }
    }
  }
  return result;
}

describeDevices('descend of bfloat16', algebraKinds, (kind) => {
  it.each(cases)('ends as low as with float32: %s', async (_, p, changes) => {
    const { bits, damping } = options(changes);
    const exact = openDevice(kind);
    const from = await start(exact, p, bits);
    const result = await descend(openDevice(kind, 2, 'bfloat16'), p, from, changes);
    const errors = result.errors;
    for (let step = 1; step < errors.length; ++step) {
      expect(at(errors, step)).toBeLessThanOrEqual(at(errors, step - 1) * (1 + 1e-3));
    }
    const error = trueError(p, result, damping);
    expect(Math.abs(at(errors, 6) / error - 1)).toBeLessThan(1e-3);
    const least = trueError(p, await descend(exact, p, from, changes), damping);
    expect(Math.abs(error / least - 1)).toBeLessThan(0.01);
  });
});

describeDevices('descend', instructionSets, (instructionSet) => {
  it.each(cases)('never raises the error, and says what it is: %s', async (_, p, changes) => {
    const { bits, damping } = options(changes);
    const device = openDevice(instructionSet, 1);
    const from = await start(device, p, bits);
    const result = await descend(device, p, from, changes);
    const { errors } = result;
    expect(errors).toHaveLength(7);
    for (let step = 1; step < errors.length; ++step) {
      expect(at(errors, step)).toBeLessThanOrEqual(at(errors, step - 1) * (1 + 1e-5));
    }
    expect(at(errors, 6) / trueError(p, result, damping)).toBeCloseTo(1, 4);
    expect(at(errors, 6)).toBeLessThan(0.99 * at(errors, 0));
    if (changes.unrounded !== true) {
      expect(at(errors, 0) / trueError(p, from, damping)).toBeCloseTo(1, 4);
    }
    if (changes.sweeps === 0) expect(result.codes).toEqual(from.codes);
    if (changes.refit === false) expect(result.scales).toEqual(from.scales);
    expect(await descend(openDevice(instructionSet, 3), p, from, changes)).toEqual(result);
  });

  it.each([
    ['whole rows in one block', problem(5, 40)],
    ['groups over two blocks', problem(4, 192, 32)],
    ['whole rows over two blocks', problem(3, 140)],
    ['groups of more than a block', problem(3, 288, 144)],
  ])('is the definition: %s', async (_, p) => {
    const device = openDevice(instructionSet);
    const from = await start(device, p, 3);
    const changes = { rounds: 2 };
    const expected = naive(p, from, options(changes));
    const result = await descend(device, p, from, changes);
    expect(result.codes).toEqual(expected.codes);
    result.scales.forEach((scale, index) => {
      expect(scale / at(expected.scales, index)).toBeCloseTo(1, 5);
    });
  });

  it('ends where no code and no scale could be better', async () => {
    const p = problem(9, 256, 64);
    const device = openDevice(instructionSet);
    const result = await descend(device, p, await start(device, p, 3), { rounds: 60 });
    const { codes, scales, zeros, errors } = result;
    for (let row = 0; row < p.rows; ++row) {
      const { residual, error } = new Row(p, result, row, damped(p, 0));
      const slopes = [0, 0, 0, 0];
      for (let j = 0; j < p.columns; ++j) {
        const group = Math.floor(j / p.groupSize);
        const scale = at(scales, row * 4 + group);
        const code = at(codes, row * p.columns + j);
        const unit = code - at(zeros, row * 4 + group);
        slopes[group] = at(slopes, group) + scale * unit * at(residual, j);
        for (let other = 0; other < 8; ++other) {
          const moved = scale * (other - code);
          const gain = moved * (2 * at(residual, j) - moved * at(p.matrix, j * (p.columns + 1)));
          expect(gain).toBeLessThanOrEqual(1e-5 * error);
        }
      }
      // What a relative change of a scale would bring, to first order.
      for (const slope of slopes) expect(Math.abs(slope)).toBeLessThan(1e-3 * error);
    }
    expect(at(errors, errors.length - 1)).toBe(at(errors, errors.length - 3));
  });

  it('keeps scales in their own precision', async () => {
    const p = problem(5, 128, 32);
    const device = openDevice(instructionSet);
    const from = await start(device, p, 3);
    const { scales } = await descend(device, p, from, { scaleDtype: 'bfloat16' });
    const moved = scales.filter((scale, index) => scale !== at(from.scales, index));
    expect(moved.length).toBeGreaterThan(0);
    const bits = new Uint32Array(moved.buffer, 0, moved.length);
    expect(bits.every((word) => (word & 0xffff) === 0)).toBe(true);
  });

  it('leaves codes of inputs that are never there, whatever the rank', async () => {
    const p = problem(5, 150);
    const dead = new Set([0, 7, 149]);
    const ones = Float32Array.from({ length: 150 }, (_, j) => (dead.has(j) ? 0 : 1 + (j % 4)));
    const rankOne = Float32Array.from(
      { length: 150 * 150 },
      (_, index) => at(ones, Math.floor(index / 150)) * at(ones, index % 150),
    );
    const device = openDevice(instructionSet);
    const from = await start(device, p, 3);
    const { codes, errors } = await descend(device, { ...p, matrix: rankOne }, from, {});
    for (const column of dead) {
      for (let row = 0; row < p.rows; ++row) {
        expect(at(codes, row * 150 + column)).toBe(at(from.codes, row * 150 + column));
      }
    }
    // One direction of 150 can be matched almost exactly.
    expect(at(errors, 6)).toBeLessThan(1e-3 * at(errors, 0));
  });

  it('stops when a round brings little', async () => {
    const p = problem(9, 256, 64);
    const device = openDevice(instructionSet);
    const from = await start(device, p, 3);
    const { errors } = await descend(device, p, from, { rounds: 20, tolerance: 0.5 });
    const all = await descend(device, p, from, { rounds: 20 });
    expect(at(errors, 1)).toBe(at(all.errors, 1));
    expect(at(errors, 40)).toBeGreaterThan(at(all.errors, 40));
  });

  it('refuses moments that are not finite', async () => {
    const p = problem(5, 40);
    const device = openDevice(instructionSet);
    const from = await start(device, p, 3);
    const broken = { ...p, matrix: p.matrix.with(3, Number.NaN) };
    await expect(descend(device, broken, from, {})).rejects.toMatchObject({ code: 'ERR_NUMERIC' });
  });
});
