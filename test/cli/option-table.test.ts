// How options are written on the command line becomes the library's values.

import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  addOptions,
  byteCount,
  list,
  number,
  type OptionTable,
  readOptions,
  repeated,
  withFlags,
} from '../../lib/cli/option-table.js';
import { bytes, count, digits, percent, seconds } from '../../lib/number-formats.js';

interface Options {
  texts: string[];
  groupSize?: number;
  sites?: string[];
  overwrite?: boolean;
  maxShardBytes?: number;
  signal?: AbortSignal;
}

const table: OptionTable<Options> = {
  texts: { flags: '-t, --text <file>', help: 'a text', parse: repeated, required: true },
  groupSize: { flags: '--group-size <n>', help: 'a size', parse: number },
  sites: { flags: '--sites <a,b>', help: 'sites', parse: list },
  overwrite: { flags: '--overwrite', help: 'replace' },
  maxShardBytes: { flags: '--max-shard-size <size>', help: 'at most', parse: byteCount },
};

function commandWith(...args: string[]): Command {
  const command = new Command('test').exitOverride();
  addOptions(command, table, { groupSize: 64, overwrite: false });
  return command.parse(args, { from: 'user' });
}

describe('options', () => {
  it('come out under their library names, and only those that were given', () => {
    const command = commandWith('-t', 'a', '--sites', 'x, y', '--text', 'b', '--overwrite');
    expect(readOptions(command, table)).toEqual({
      texts: ['a', 'b'],
      sites: ['x', 'y'],
      overwrite: true,
    });
  });

  it('show defaults in the help and do not set them', () => {
    const command = commandWith('--text', 'a');
    expect(readOptions(command, table)).toEqual({ texts: ['a'] });
    expect(command.helpInformation()).toMatch(/a size \(default: 64\)/);
    expect(command.helpInformation()).not.toContain('default: false');
  });

  it('are numbers, or a sentence', () => {
    expect(number('1e-2')).toBe(0.01);
    for (const text of ['', ' ', '3x', 'Infinity']) expect(() => number(text)).toThrow('a number');
  });

  it.each([
    ['500MB', 5e8],
    ['1.5 gb', 1.5e9],
    ['2T', 2e12],
    ['1234', 1234],
    ['12 B', 12],
  ])('size %s is %d bytes', (text, expected) => {
    expect(byteCount(text)).toBe(expected);
  });

  it('are named in messages as on the command line', () => {
    expect(withFlags('Expected 1 for groupSize and maxShardBytes, texts.', table)).toBe(
      'Expected 1 for --group-size and --max-shard-size, texts.',
    );
  });
});

describe('numbers for people', () => {
  it('have three digits and decimal units', () => {
    expect([bytes(999), bytes(13_946_736), bytes(5e9)]).toEqual(['999 B', '13.9 MB', '5.00 GB']);
    expect([count(24), count(6_900_000)]).toEqual(['24', '6.90 M']);
    expect([percent(0.01234), percent(0)]).toEqual(['1.23 %', '0.00 %']);
    expect([digits(110.7579), digits(1.5e9), digits(Infinity)]).toEqual([
      '110.76',
      '1500000000',
      'Infinity',
    ]);
    expect([seconds(1.234), seconds(75.3), seconds(7260)]).toEqual([
      '1.23 s',
      '1 min 15 s',
      '2 h 1 min',
    ]);
  });
});
