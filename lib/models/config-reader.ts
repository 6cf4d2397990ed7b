// Reads config.json field by field: a wrong type, a missing field or a number out of range is one sentence
// that names the field.

import { BallastError } from '../errors.js';

/** Some hundred times as many as the deepest models have. */
const mostBlocks = 10_000;

export class ConfigReader {
  readonly #config: Readonly<Record<string, unknown>>;
  /** Of a nested object: the fields that lead to it, such as 'rope_parameters.'. */
  readonly #path: string;

  readonly #defaults: Readonly<Record<string, unknown>>;

  constructor(config: Readonly<Record<string, unknown>>, path = '', defaults = {}) {
    this.#config = config;
    this.#path = path;
    this.#defaults = defaults;
  }

  has(field: string): boolean {
    return this.#config[field] !== undefined && this.#config[field] !== null;
  }

  /** The first of several names for the same field that is present; the first name where none is. */
  alias(name: string, ...others: readonly string[]): string {
    return [name, ...others].find((field) => this.has(field)) ?? name;
  }

  /** A positive whole number. */
  count(field: string, fallback?: number): number {
    const value = this.number(field, fallback);
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw this.#wrong(field, 'a positive whole number');
    }
    return value;
  }

  /** How many blocks there are: what is kept for each is listed before any is looked for in the checkpoint. */
  depth(field: string): number {
    const value = this.count(field);
    if (value > mostBlocks) throw this.#wrong(field, `at most ${mostBlocks} blocks`);
    return value;
  }

  /** The same for each of several stages. */
  depths(field: string, fallback: readonly number[]): number[] {
    const values = this.counts(field, fallback);
    if (values.every((value) => value <= mostBlocks)) return values;
    throw this.#wrong(field, `at most ${mostBlocks} blocks a stage`);
  }

  /** A list of positive whole numbers. */
  counts(field: string, fallback: readonly number[]): number[] {
    const values = this.#value(field, fallback);
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
    if (!Array.isArray(values) || values.length === 0 || !values.every(isCount)) {
      throw this.#wrong(field, 'a list of positive whole numbers');
    }
    return [...values];
  }

  /** A list of so many, each 1 for true or 0 for false. */
  bits(field: string, count: number): boolean[] {
    const isBit = (value: unknown) => value === 0 || value === 1;
    const values = this.#list(field, count, isBit, `a list of ${count}, each 0 or 1`);
    return values.map((value) => value === 1);
  }

  /** A list, maybe empty, of numbers of `count` blocks, from 0. */
  indices(field: string, count: number): readonly number[] {
    const isIndex = (value: unknown) =>
      Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < count;
    const values = this.#value(field, undefined);
    if (Array.isArray(values) && values.every(isIndex)) return values;
    throw this.#wrong(field, `a list of whole numbers from 0 to ${count - 1}`);
  }

  /** A list of so many numbers above 0. */
  numbers(field: string, count: number): readonly number[] {
    const isPositive = (value: unknown) => Number.isFinite(value) && (value as number) > 0;
    return this.#list<number>(field, count, isPositive, `a list of ${count} numbers above 0`);
  }

  number(field: string, fallback?: number): number {
    const value = this.#value(field, fallback);
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(field, 'a number');
    return value;
  }

  /** A number above 0. */
  positive(field: string, fallback?: number): number {
    const value = this.number(field, fallback);
    if (value <= 0) throw this.#wrong(field, 'a number above 0');
    return value;
  }

  /** A number above 0, or 0 where there is none. */
  positiveOrNone(field: string): number {
    return this.has(field) ? this.positive(field) : 0;
  }

  /** A number above 0, or 0 where the field is null, which is not the same as absent: then `fallback`. */
  positiveOrNull(field: string, fallback: number): number {
    return this.#config[field] === null ? 0 : this.positive(field, fallback);
  }

  /** A positive whole number, or undefined where the field is null, which is not the same as absent: then `fallback`. */
  countOrNull(field: string, fallback: number): number | undefined {
    return this.#config[field] === null ? undefined : this.count(field, fallback);
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.#value(field, fallback);
    if (typeof value !== 'boolean') throw this.#wrong(field, 'true or false');
    return value;
  }

  string(field: string, fallback?: string): string {
    const value = this.#value(field, fallback);
    if (typeof value !== 'string') throw this.#wrong(field, 'a string');
    return value;
  }

  /** One of the keys of `values`; returns what it stands for. */
  choice<T>(field: string, values: Readonly<Record<string, T>>, fallback?: string): T {
    const name = this.string(field, fallback);
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw this.#wrong(field, `one of ${Object.keys(values).join(', ')}`);
    return value;
  }

  /** As many of the keys of `values` as are expected; returns what they stand for. */
  choices<T>(field: string, values: Readonly<Record<string, T>>, count: number): T[] {
    const isKnown = (name: unknown) => typeof name === 'string' && Object.hasOwn(values, name);
    const expected = `a list of ${count}, each one of ${Object.keys(values).join(', ')}`;
    return this.#list<string>(field, count, isKnown, expected).map((name) => values[name] as T);
  }

  /** A whole number from 0 on. */
  countOrNone(field: string, fallback?: number): number {
    const value = this.number(field, fallback);
    if (!Number.isSafeInteger(value) || value < 0)
      throw this.#wrong(field, 'a whole number from 0 on');
    return value;
  }

  /** A nested object, or undefined where the field is absent. */
  object(field: string): ConfigReader | undefined {
    if (!this.has(field)) return undefined;
    const value = this.#config[field];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#wrong(field, 'an object');
    }
    return new ConfigReader(value as Record<string, unknown>, `${this.#path}${field}.`);
  }

  /** A nested object that must be there, and what its fields are where it lacks them. */
  section(field: string, defaults: Readonly<Record<string, unknown>> = {}): ConfigReader {
    const section = this.object(field);
    if (section === undefined) throw this.#wrong(field, 'an object');
    return new ConfigReader(section.#config, section.#path, defaults);
  }

  /** `divisor` must divide `value`; names both fields otherwise. */
  divides(divisor: string, value: string): void {
    if (this.count(value) % this.count(divisor) !== 0) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected ${divisor} to divide ${value} in config.json but received ` +
          `${this.#config[divisor]} and ${this.#config[value]}.`,
      );
    }
  }

  /** ERR_UNSUPPORTED where a field asks for another variant of the architecture than the one that is implemented. */
  only(field: string, supported: boolean | number | string): void {
    if (!this.has(field) || this.#config[field] === supported) return;
    throw this.unsupported(field, JSON.stringify(supported));
  }

  /** ERR_UNSUPPORTED where the field is there at all. */
  absent(field: string, supported = 'null'): void {
    if (this.has(field)) throw this.unsupported(field, supported);
  }

  /** The error for a field whose value is sound but not implemented. */
  unsupported(field: string, supported: string): BallastError {
    return new BallastError(
      'ERR_UNSUPPORTED',
      this.#sentence(field, supported, ', which is all that is supported,'),
    );
  }

  #value(field: string, fallback: unknown): unknown {
    return this.has(field) ? this.#config[field] : (this.#defaults[field] ?? fallback);
  }

  /** A list of so many for each of which `isOne` holds, which makes it a T. */
  #list<T>(
    field: string,
    count: number,
    isOne: (value: unknown) => boolean,
    expected: string,
  ): readonly T[] {
    const values = this.#config[field];
    if (Array.isArray(values) && values.length === count && values.every(isOne)) return values;
    throw this.#wrong(field, expected);
  }

  #wrong(field: string, expected: string): BallastError {
    return new BallastError('ERR_CHECKPOINT', this.#sentence(field, expected));
  }

  #sentence(field: string, expected: string, remark = ''): string {
    const received = JSON.stringify(this.#config[field]);
    return `Expected ${expected} for ${this.#path}${field} in config.json${remark} but received ${received}.`;
  }
}
