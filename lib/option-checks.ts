// Checks of a public function's options: every name must be known and every value in range, and what is wrong is
// one sentence that says what was expected. A check returns those words, or undefined for a value that will do.

import { inspect } from 'node:util';
import { BallastError } from './errors.js';

export type Check = (value: unknown) => string | undefined;

export const isString: Check = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'a string that is not empty';

export const isBoolean: Check = (value) =>
  typeof value === 'boolean' ? undefined : 'true or false';

export const isFunction: Check = (value) =>
  typeof value === 'function' ? undefined : 'a function';

export const isSignal: Check = (value) =>
  value instanceof AbortSignal ? undefined : 'an AbortSignal';

export const isWhole =
  (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  (value) => {
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
      return undefined;
    }
    return most === Number.MAX_SAFE_INTEGER && !(typeof value === 'number' && value > most)
      ? `a whole number of at least ${least}`
      : `a whole number from ${least} to ${most}`;
  };

/** Of a CPU device. */
export const isThreadCount = isWhole(1, 1024);

export const isBetween =
  (least: number, most: number): Check =>
  (value) => {
    if (typeof value === 'number' && value >= least && value <= most) return undefined;
    return most === Number.MAX_VALUE
      ? `a number of at least ${least}`
      : `a number from ${least} to ${most}`;
  };

export const isOneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string) ? undefined : `one of ${values.join(', ')}`;

export const isSetOf =
  (...values: readonly string[]): Check =>
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every((item) => values.includes(item))
      ? undefined
      : `a list of one or more of ${values.join(', ')}`;

export const isListOfStrings: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((item) => isString(item) === undefined)
    ? undefined
    : 'a list of strings that is not empty';

/** One name or several. */
export const isNames: Check = (value) =>
  isString(value) === undefined || isListOfStrings(value) === undefined
    ? undefined
    : 'a name or a list of names';

/** Without the keys that are there but undefined, which would hide defaults; lists are copied, since the caller's may change. */
export function defined<T extends object>(options: T): T {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
  ) as T;
}

/** Error ERR_ARGUMENT for what is no text, or an empty one. */
export function expectText(value: unknown, expected: string): void {
  if (isString(value) === undefined) return;
  throw new BallastError('ERR_ARGUMENT', `Expected ${expected} but received ${shown(value)}.`);
}

/** An option that is undefined counts as absent. Errors: ERR_ARGUMENT for the first that will not do. */
export function checkOptions(
  options: object,
  checks: Readonly<Record<string, Check>>,
  required: readonly string[] = [],
): void {
  if (typeof options !== 'object' || options === null) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected an object of options but received ${options}.`,
    );
  }
  const values = new Map<string, unknown>(Object.entries(options));
  for (const name of required) if (!values.has(name)) values.set(name, undefined);
  for (const [name, value] of values) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (check === undefined) {
      throw new BallastError('ERR_ARGUMENT', `Expected no option named ${name}.`);
    }
    if (value === undefined && !required.includes(name)) continue;
    const expected = check(value);
    if (expected !== undefined) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected ${expected} for ${name} but received ${shown(value)}.`,
      );
    }
  }
}

/** Whatever it is: a caller in JavaScript may pass anything. */
function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1 });
}
