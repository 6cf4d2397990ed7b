// What callers in JavaScript may pass, where TypeScript's would not compile: one sentence, whatever it is.

import { expect, it } from 'vitest';
import { checkOptions, isNames, isSetOf, isWhole } from '../lib/option-checks.js';

const checks = { bits: isWhole(2, 8), sites: isSetOf('linear', 'block'), device: isNames };
const circle: Record<string, unknown> = {};
circle.self = circle;

it.each([
  [{ bits: Number.NaN }, 'from 2 to 8 for bits but received NaN.'],
  [{ bits: 4n }, 'from 2 to 8 for bits but received 4n.'],
  [{ bits: '4' }, 'from 2 to 8 for bits but received "4".'],
  [{ bits: Symbol('4') }, 'from 2 to 8 for bits but received Symbol(4).'],
  [{ device: circle }, 'for device but received <ref *1> { self: [Circular *1] }.'],
  [{ sites: 'linear' }, 'a list of one or more of linear, block for sites but received "linear".'],
  [{ toString: 1 }, 'Expected no option named toString.'],
  [null, 'Expected an object of options but received null.'],
])('%o', (options, message) => {
  expect(() => checkOptions(options as object, checks)).toThrow(
    expect.objectContaining({ code: 'ERR_ARGUMENT', message: expect.stringContaining(message) }),
  );
});

it('what is undefined counts as absent', () => {
  expect(() => checkOptions({ bits: undefined, device: ['cpu'] }, checks)).not.toThrow();
  expect(() => checkOptions({ device: undefined }, checks, ['device'])).toThrow(/device/);
});
