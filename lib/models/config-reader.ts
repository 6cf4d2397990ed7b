// Reads config.json field by field: a wrong type, a missing field or a number out of range is one sentence
// that names the field.

import { BallastError } from '../errors.js';

export class ConfigReader {
  readonly #config: Readonly<Record<string, unknown>>;

  constructor(config: Readonly<Record<string, unknown>>) {
    this.#config = config;
  }

  has(field: string): boolean {
    return this.#config[field] !== undefined && this.#config[field] !== null;
  }

  /** A positive whole number. */
  count(field: string, fallback?: number): number {
    const value = this.number(field, fallback);
    if (!Number.isSafeInteger(value) || value <= 0) {
      throw this.#wrong(field, 'a positive whole number');
    }
    return value;
  }

  number(field: string, fallback?: number): number {
    const value = this.#value(field, fallback);
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(field, 'a number');
    return value;
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

  /** A nested object, or undefined where the field is absent. */
  object(field: string): ConfigReader | undefined {
    if (!this.has(field)) return undefined;
    const value = this.#config[field];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#wrong(field, 'an object');
    }
    return new ConfigReader(value as Record<string, unknown>);
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

  #value(field: string, fallback: unknown): unknown {
    return this.has(field) ? this.#config[field] : fallback;
  }

  #wrong(field: string, expected: string): BallastError {
    return new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${expected} for ${field} in config.json but received ${JSON.stringify(this.#config[field])}.`,
    );
  }
}
