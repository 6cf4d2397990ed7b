// Defaults that depend on other options.

import { expect, it } from 'vitest';
import { resolveOptions } from '../../lib/pipeline/options/resolve-options.js';

const resolved = (options: object) =>
  resolveOptions({ output: 'out', calibration: 'text', ...options }).options;

it('a joint fit of gptq refits scales, unless told otherwise', () => {
  expect(resolved({ method: 'gptq' }).refit).toBe('scales');
  expect(resolved({ method: 'gptq', refit: 'none' }).refit).toBe('none');
});

it.each([
  { method: 'gptq', fit: 'sequential' },
  { method: 'gptq', compensation: 'none' },
  { method: 'rtn' },
  {},
])('nothing else does: %o', (options) => {
  expect(resolved(options).refit).toBe('none');
});

it("a method's own defaults give way to what the caller says", () => {
  expect(resolved({ method: 'descent' })).toMatchObject({ clip: 'mse', damping: 0.03 });
  expect(resolved({ method: 'descent', damping: 0.1 })).toMatchObject({ damping: 0.1 });
});

it.each([
  { method: 'gptq' },
  { method: 'rtn', refit: 'scales' },
  { method: 'rtn', clip: 'mse' },
  { method: 'rtn', target: 'float' },
])('certificates of some samples are refused where moments are read: %o', (options) => {
  expect(() => resolved({ ...options, certificateSamples: 8 })).toThrow(/second moments/);
});
