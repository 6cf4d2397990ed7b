// Public functions called as only JavaScript can call them: one error each, that says what was expected.

import { expect, it } from 'vitest';
import * as ballast from '../../lib/index.js';
import { resolveOptions } from '../../lib/pipeline/options/resolve-options.js';

/** Calls a function by its name and waits for the end, or for the first event. */
async function call(name: string, ...args: unknown[]): Promise<unknown> {
  const { [name]: called } = ballast as unknown as Record<string, (...args: unknown[]) => unknown>;
  const begun = called?.(...args);
  const events = begun as Partial<AsyncGenerator>;
  return typeof events?.next === 'function' ? events.next() : begun;
}

const files = { output: '/nowhere/result', calibration: 'text.txt' };

it.each([
  ['quantize', [undefined, files], /model directory or a hub id .* but received undefined/],
  ['quantize', ['model'], /Expected an object of options but received undefined/],
  ['quantize', ['model', { ...files, bits: Symbol('bits') }], /from 2 to 8 for bits/],
  ['quantize', ['model', { ...files, samples: Symbol('many') }], /at least 1 for samples/],
  ['quantize', ['model', { ...files, sites: [] }], /list of one or more of linear.* for sites/],
  ['search', ['model'], /Expected an object of options but received undefined/],
  ['search', ['model', null], /Expected an object of options but received null/],
  ['search', ['model', { ...files, sites: ['linear'] }], /Expected no option named sites/],
  ['search', ['model', { ...files, heldOut: null }], /from 0 to 0.5 for heldOut but received null/],
  ['evaluate', [new URL('file:///model'), { texts: ['a.txt'] }], /but received URL/],
  ['inspect', ['model', null], /Expected an object of options but received null/],
  ['inspect', ['model', { fast: true }], /Expected no option named fast/],
  ['inspect', [5], /model directory or a hub id .* but received 5/],
  ['verify', [undefined], /Expected the directory of a result but received undefined/],
  ['verify', [''], /Expected the directory of a result but received ""/],
  ['exportResult', [null, { output: 'out', format: 'gguf' }], /a result but received null/],
])('%s %o', async (name, args, message) => {
  await expect(call(name, ...args)).rejects.toMatchObject({
    name: 'BallastError',
    code: 'ERR_ARGUMENT',
    message: expect.stringMatching(message),
  });
});

it('what a caller does to a list afterwards changes no run', () => {
  const sites: ['linear'] = ['linear'];
  const { options } = resolveOptions({ ...files, sites });
  sites.pop();
  expect(options.sites).toEqual(['linear']);
});
