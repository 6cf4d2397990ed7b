// Command-line options as data: one row for each option of a library function, keyed by its name there, so that the
// compiler notices a library option without a row. Rows say how a value is written, not what is valid: ranges,
// choices and defaults are the library's.

import { type Command, InvalidArgumentError, Option } from 'commander';

export interface OptionRow {
  /** As commander reads them: '-o, --output <dir>'. A row without '<…>' is a switch. */
  readonly flags: string;
  readonly help: string;
  /** From text to the library's value; text as it is by default. `previous` for options that may repeat. */
  readonly parse?: (text: string, previous?: unknown) => unknown;
  readonly required?: boolean;
  /** What a switch stands for, where not for true. */
  readonly preset?: string;
  /** How the default is written in the help, where not as it is. */
  readonly show?: (value: never) => string;
}

/** What the command line sets by other means than an option. */
type NotOptions = 'signal' | 'onProgress';

export type OptionTable<Options> = {
  readonly [Name in Exclude<keyof Options, NotOptions>]-?: OptionRow;
};

/** Adds the rows to `command`, defaults in their help. */
export function addOptions<Options>(
  command: Command,
  table: OptionTable<Options>,
  defaults: Readonly<Record<string, unknown>>,
): void {
  for (const [name, row] of rowsOf(table)) {
    const option = new Option(row.flags, `${row.help}${shownDefault(row, defaults[name])}`);
    if (row.parse !== undefined) option.argParser(row.parse);
    if (row.preset !== undefined) option.preset(row.preset);
    command.addOption(option.makeOptionMandatory(row.required ?? false));
  }
}

function shownDefault({ show = String }: OptionRow, value: unknown): string {
  // Neither a switch nor what has no default needs words.
  return value === undefined || typeof value === 'boolean'
    ? ''
    : ` (default: ${show(value as never)})`;
}

/** The options that were given, by their library names. The library checks their values. */
export function readOptions<Options>(command: Command, table: OptionTable<Options>): Options {
  const given = command.opts();
  const entries = rowsOf(table)
    .map(([name, row]) => [name, given[new Option(row.flags).attributeName()]] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Options;
}

/** A message of the library in the words of the command line: groupSize becomes --group-size. */
export function withFlags<Options>(message: string, table: OptionTable<Options>): string {
  return rowsOf(table).reduce((text, [name, row]) => {
    // Names of one word read well as they are, and may be ordinary words of the sentence.
    if (name === name.toLowerCase()) return text;
    return text.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), new Option(row.flags).long ?? name);
  }, message);
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new InvalidArgumentError('Expected a number.');
  }
  return value;
}

/** 'a,b' → ['a', 'b']. */
export function list(text: string): string[] {
  return text.split(',').map((item) => item.trim());
}

/** One name as it is, several as a list. */
export function nameOrList(text: string): string | string[] {
  return text.includes(',') ? list(text) : text;
}

/** For an option that may be given several times. */
export function repeated(text: string, previous: unknown): string[] {
  return [...((previous as string[] | undefined) ?? []), text];
}

/** '500MB', '5 GB', or plain bytes; decimal units, as weight files are counted everywhere. */
export function byteCount(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)B?$/i.exec(text.trim()) ?? [];
  if (digits === undefined) {
    throw new InvalidArgumentError('Expected a size such as 500MB or 5GB.');
  }
  return Math.round(Number(digits) * 1000 ** ' KMGT'.indexOf(unit.toUpperCase() || ' '));
}

function rowsOf<Options>(table: OptionTable<Options>): [string, OptionRow][] {
  return Object.entries<OptionRow>(table);
}
