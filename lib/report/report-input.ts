// What a report is drawn from, checked: ballast.json and evaluations are files that anybody may have edited, so a
// field that is drawn is looked at first. The environment and most options are only listed, whatever they hold.

import { BallastError } from '../errors.js';

/** One quantized linear, with what ballast.json says of it; errors are relative to its output's energy. */
export interface ReportedLayer {
  readonly name: string;
  readonly block: number;
  readonly error: number;
  readonly errorWithBias: number;
  readonly biasEnergy: number;
  readonly biasKept: boolean;
  readonly heldOutError?: number;
  readonly heldOutErrorWithBias?: number;
}

/** The part of a run's report that is drawn; the content of ballast.json fits. */
export interface ReportInput {
  readonly ballast: string;
  readonly format: string;
  readonly model: string;
  readonly modelType: string;
  readonly fingerprint: string;
  readonly options: {
    readonly method: string;
    readonly bits: number;
    readonly [option: string]: unknown;
  };
  readonly environment: object;
  readonly calibrationTokens: number;
  readonly heldOutTokens: number;
  readonly bitsPerWeight: number;
  readonly layers: readonly ReportedLayer[];
  /** Seconds by phase, and `total`. */
  readonly seconds: object;
  /** Bytes by phase. */
  readonly memoryBytes: object;
  readonly peakMemoryBytes: number;
}

/** Perplexities of one model; what `evaluate` returns fits. */
export interface ReportedEvaluation {
  readonly model: string;
  readonly sequenceLength: number;
  readonly results: readonly { readonly text: string; readonly perplexity: number }[];
}

/** `what` names the report in messages. Errors: ERR_DATA for a field that is missing or of another kind. */
export function checkReport(report: ReportInput, what: string): void {
  const fields = record(report, what);
  for (const name of ['ballast', 'format', 'model', 'modelType', 'fingerprint']) {
    text(fields[name], `${name} of ${what}`);
  }
  for (const name of ['calibrationTokens', 'heldOutTokens', 'bitsPerWeight', 'peakMemoryBytes']) {
    amount(fields[name], `${name} of ${what}`);
  }
  const options = record(fields.options, `options of ${what}`);
  text(options.method, `options.method of ${what}`);
  amount(options.bits, `options.bits of ${what}`);
  record(fields.environment, `environment of ${what}`);
  amount(record(fields.seconds, `seconds of ${what}`).total, `seconds.total of ${what}`);
  for (const name of ['seconds', 'memoryBytes']) {
    for (const [phase, value] of Object.entries(record(fields[name], `${name} of ${what}`))) {
      amount(value, `${name}.${phase} of ${what}`);
    }
  }
  list(fields.layers, `layers of ${what}`).forEach((layer, i) => {
    checkLayer(layer, `layers[${i}] of ${what}`);
  });
}

function checkLayer(value: unknown, what: string): void {
  const layer = record(value, what);
  text(layer.name, `name of ${what}`);
  amount(layer.block, `block of ${what}`);
  for (const name of ['error', 'errorWithBias', 'biasEnergy']) {
    amount(layer[name], `${name} of ${what}`);
  }
  for (const name of ['heldOutError', 'heldOutErrorWithBias']) {
    if (layer[name] !== undefined) amount(layer[name], `${name} of ${what}`);
  }
  if (typeof layer.biasKept !== 'boolean') {
    throw wrong('true or false', `biasKept of ${what}`, layer.biasKept);
  }
}

/** Errors: ERR_DATA as above. */
export function checkEvaluation(evaluation: ReportedEvaluation, position: number): void {
  const what = `evaluation ${position}`;
  const fields = record(evaluation, what);
  text(fields.model, `model of ${what}`);
  const results = list(fields.results, `results of ${what}`);
  if (results.some((result) => Object.hasOwn(Object(result), 'top1'))) {
    throw new BallastError(
      'ERR_DATA',
      `Expected perplexities for ${what} but received accuracies on images, which a report does not draw; leave it out.`,
    );
  }
  amount(fields.sequenceLength, `sequenceLength of ${what}`);
  results.forEach((value, i) => {
    const result = record(value, `results[${i}] of ${what}`);
    text(result.text, `results[${i}].text of ${what}`);
    amount(result.perplexity, `results[${i}].perplexity of ${what}`);
  });
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw wrong('an object', what, value);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrong('a list', what, value);
}

function text(value: unknown, what: string): void {
  if (typeof value !== 'string') throw wrong('a string', what, value);
}

/** JSON writes null for what is not finite, and rounding may leave an error of nothing a hair below zero. */
function amount(value: unknown, what: string): void {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong('a number', what, value);
}

function wrong(expected: string, what: string, value?: unknown): BallastError {
  const received = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
  return new BallastError(
    'ERR_DATA',
    `Expected ${expected} for ${what} but received ${received}; take the file as it was written.`,
  );
}
