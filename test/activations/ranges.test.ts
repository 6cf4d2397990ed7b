// Ranges and grids of activations: the formula of the grid, the rules by which a range is found, and that mini-batches
// do not matter.

import { describe, expect, it } from 'vitest';
import { RangeObserver, uniformQuantizer } from '../../lib/activations/index.js';
import { normals } from '../native/harness.js';

describe('the grid of a range', () => {
  it('includes zero and reaches both ends', () => {
    const asymmetric = { bits: 3, symmetric: false };
    expect(uniformQuantizer({ low: -3, high: 4 }, asymmetric)).toMatchObject({ scale: 1, zero: 3 });
    expect(uniformQuantizer({ low: 2, high: 7 }, asymmetric)).toMatchObject({ scale: 1, zero: 0 });
    expect(uniformQuantizer({ low: -7, high: -2 }, asymmetric)).toMatchObject({
      scale: 1,
      zero: 7,
    });
    const symmetric = { bits: 3, symmetric: true };
    expect(uniformQuantizer({ low: -1, high: 3.5 }, symmetric)).toMatchObject({
      scale: 1,
      zero: 4,
    });
    expect(uniformQuantizer({ low: 0, high: 0 }, asymmetric).scale).toBeGreaterThan(0);
  });
});

describe('rules', () => {
  const grid = { bits: 4, symmetric: false };
  /** Normal values and two outliers. */
  const values = Float32Array.from([...normals(40_000, 3), 50, -30]);

  const observed = (...parts: Float32Array[]) => {
    const observer = new RangeObserver();
    for (const part of parts) observer.add(part);
    return observer;
  };

  it('minmax keeps everything', () => {
    expect(observed(values).range('minmax', grid)).toEqual({ low: -30, high: 50 });
  });

  it('percentile leaves outliers out', () => {
    const { low, high } = observed(values).range('percentile', grid);
    expect(low).toBeGreaterThan(-6);
    expect(low).toBeLessThan(-3);
    expect(high).toBeLessThan(6);
    expect(high).toBeGreaterThan(3);
  });

  it('mse gives no larger error than minmax', () => {
    const observer = observed(values.subarray(0, 40_000));
    const error = (range: { low: number; high: number }) => {
      const { scale, zero } = uniformQuantizer(range, grid);
      return observer.sample.reduce((sum, value) => {
        const code = Math.min(Math.max(Math.round(value / scale) + zero, 0), 15);
        return sum + (value - scale * (code - zero)) ** 2;
      }, 0);
    };
    const found = observer.range('mse', grid);
    expect(error(found)).toBeLessThan(0.8 * error(observer.range('minmax', grid)));
  });

  it('mini-batches change nothing', () => {
    const many = normals(300_000, 5);
    const parts = [many.subarray(0, 7), many.subarray(7, 190_001), many.subarray(190_001)];
    expect(observed(...parts).sample).toEqual(observed(many).sample);
    expect(observed(...parts).range('percentile', grid)).toEqual(
      observed(many).range('percentile', grid),
    );
  });
});
