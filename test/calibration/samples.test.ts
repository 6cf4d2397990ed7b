import { describe, expect, it } from 'vitest';
import { Random } from '../../lib/calibration/random.js';
import { calibrationSamples, evaluationWindows } from '../../lib/calibration/samples.js';

const stream = Int32Array.from({ length: 100 }, (_, i) => i);
const sequential = { samples: 3, sequenceLength: 8, sampling: 'sequential', seed: 0 } as const;
const random = { samples: 5, sequenceLength: 8, sampling: 'random', seed: 7 } as const;
const starts = (windows: Int32Array[]) => windows.map((window) => window[0]);

describe('calibrationSamples', () => {
  it('takes consecutive windows from the start', () => {
    const windows = calibrationSamples(stream, sequential);
    expect(windows.map((window) => [...window])).toEqual(
      [0, 8, 16].map((start) => Array.from({ length: 8 }, (_, i) => start + i)),
    );
  });

  it('joins documents in their order', () => {
    const documents = [stream.subarray(0, 5), new Int32Array(0), stream.subarray(5)];
    expect(calibrationSamples(documents, sequential)).toEqual(
      calibrationSamples(stream, sequential),
    );
  });

  it('takes distinct whole windows at random places, the same for the same seed', () => {
    const windows = calibrationSamples(stream, random);
    for (const window of windows) {
      expect([...window]).toEqual(Array.from({ length: 8 }, (_, i) => (window[0] ?? 0) + i));
    }
    expect(new Set(starts(windows)).size).toBe(5);
    expect(calibrationSamples(stream, random)).toEqual(windows);
    expect(calibrationSamples(stream, { ...random, seed: 8 })).not.toEqual(windows);
    expect(calibrationSamples(stream, { ...random, samples: 3 })).toEqual(windows.slice(0, 3));
  });

  it('reaches every place, first and last included', () => {
    const windows = calibrationSamples(stream, { ...random, samples: 93 });
    expect(starts(windows).sort((a = 0, b = 0) => a - b)).toEqual([...stream.subarray(0, 93)]);
  });

  it('says how many tokens there are and what to lower', () => {
    expect(() => calibrationSamples(stream, { ...sequential, samples: 13 })).toThrow(
      /Expected 104 tokens .* has 100; lower the number of samples to 12/,
    );
    expect(() => calibrationSamples(stream, { ...random, samples: 94 })).toThrow(/has 100; lower/);
    expect(() => calibrationSamples(stream, { ...random, sequenceLength: 101 })).toThrow(/has 100/);
  });

  it.each([
    { ...sequential, samples: 0 },
    { ...sequential, sequenceLength: 1.5 },
    { ...sequential, seed: -1 },
  ])('refuses options out of range', (options) => {
    expect(() => calibrationSamples(stream, options)).toThrow(/Expected a whole number/);
  });
});

describe('evaluationWindows', () => {
  it('drops what remains', () => {
    expect(starts(evaluationWindows(stream, 30))).toEqual([0, 30, 60]);
    expect(evaluationWindows(stream, 100)).toEqual([stream]);
  });

  it('refuses a text shorter than one window', () => {
    const error = (() => {
      try {
        return evaluationWindows(stream, 101);
      } catch (reason) {
        return reason;
      }
    })();
    expect(error).toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining('one window of 101 tokens but the text has 100'),
    });
  });
});

describe('Random', () => {
  it('is SplitMix64', () => {
    // First outputs for seed 1234567 in the published reference: 6457827717110365317, 3203168211198807973.
    const random = new Random(1234567);
    const unit = 2 ** 53;
    expect(random.below(unit)).toBe(Number(6457827717110365317n >> 11n));
    expect(random.below(unit)).toBe(Number(3203168211198807973n >> 11n));
  });
});
