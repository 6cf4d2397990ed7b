// Help, and wrong usage: exit code 2, nothing on stdout, one sentence that names what was wrong.

import { describe, expect, it } from 'vitest';
import { exampleCalibrationText, exampleModel } from '../places.js';
import { ballast } from './command.js';

const commands = [
  'quantize',
  'search',
  'evaluate',
  'inspect',
  'export',
  'verify',
  'report',
  'devices',
];

describe('help', () => {
  it.each(['', ...commands])('of ballast %s goes to stdout, with examples', async (command) => {
    const name = `ballast ${command}`.trim();
    const { code, stdout, stderr } = await ballast(`${command} --help`.trim().split(' '));
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: ${name} `);
    expect(stdout).toContain(`Examples:\n  $ ${name}`);
    expect(stderr).toBe('');
  });

  it('lists the registered quantizers and the defaults of the library', async () => {
    const { stdout } = await ballast(['quantize', '--help']);
    expect(stdout).toMatch(/Methods:\n {2}rtn +round to nearest\n {2}gptq /);
    expect(stdout).toMatch(/--bits <n> .*\(default: 4\)/);
    expect(stdout).toMatch(/--clip .*\(default: none; descent: mse; comq: mse\)/);
    expect(stdout).toMatch(/--refit .*\(default: none; gptq, joint fit: scales\)/);
    expect(stdout).toMatch(/--group-size .*\(default: 0; gguf: 32\)/);
    expect(stdout).not.toMatch(/--no-.*default/);
    expect(stdout).toMatch(/--max-shard-size <size> .*\(default: 5\.00 GB\)/);
  });
});

describe('wrong usage', () => {
  const paths = ['-o', '/nowhere/result', '-c', exampleCalibrationText];
  it.each([
    ['an unknown command', ['quantise'], "unknown command 'quantise'"],
    ['no command', [], 'Usage: ballast'],
    ['an unknown option', ['devices', '--fast'], "unknown option '--fast'"],
    ['a missing argument', ['inspect'], "missing required argument 'model'"],
    ['a missing option', ['quantize', exampleModel], "required option '-o, --output <dir>'"],
    [
      'no text',
      ['evaluate', exampleModel],
      "required option '-t, --text <file>' or '-i, --images <path>'",
    ],
    [
      'texts and images',
      ['evaluate', exampleModel, '--text', exampleCalibrationText, '--images', 'x'],
      "expected '--text' or '--images', not both",
    ],
    [
      'a word for a number',
      ['quantize', exampleModel, ...paths, '--bits', 'four'],
      "argument 'four' is invalid. Expected a number.",
    ],
    [
      'a number out of range',
      ['quantize', exampleModel, ...paths, '--bits', '9'],
      'Expected a whole number from 2 to 8 for bits but received 9.',
    ],
    [
      'an unknown choice',
      ['quantize', exampleModel, ...paths, '--compensation', 'row'],
      'Expected one of none, channel, position for compensation but received "row".',
    ],
    [
      'an unknown quantizer',
      ['quantize', exampleModel, ...paths, '--method', 'foo'],
      /Expected one of rtn, gptq.* for method but received foo\./,
    ],
    [
      'an unknown site',
      ['quantize', exampleModel, ...paths, '--sites', 'linear,roof'],
      "for sites but received [ 'linear', 'roof' ]",
    ],
    [
      'options that contradict each other',
      ['quantize', exampleModel, ...paths, '--static-groups'],
      'Expected --act-order with --static-groups',
    ],
    [
      'a refit that the method would not heed',
      ['quantize', exampleModel, ...paths, '--method', 'comq', '--refit', 'scales'],
      'Expected a method that can be told to refit scales (rtn, gptq) with refit',
    ],
    [
      'an option that the method would not heed',
      ['quantize', exampleModel, ...paths, '--method', 'rtn', '--act-order'],
      'Expected a method that can be told the order of columns (gptq) with --act-order',
    ],
    [
      'rounds of a method that has none',
      ['quantize', exampleModel, ...paths, '--method', 'rtn', '--rounds', '3'],
      'Expected a method that descends (descent, comq) with rounds but received rtn.',
    ],
    [
      'an order of a method that has none',
      ['search', exampleModel, ...paths, '--method', 'gptq', '--order', 'greedy'],
      'Expected a method that descends (descent, comq) with order but received gptq.',
    ],
    [
      'sites of activations that stay float',
      ['quantize', exampleModel, ...paths, '--activation-sites', 'attention'],
      'Expected --activation-bits with --activation-sites: activations stay float unless bits are given.',
    ],
    [
      'a search without compensation',
      ['search', exampleModel, ...paths, '--compensation', 'none'],
      'Expected a compensation and held-out samples for a search',
    ],
    [
      'a search without held-out samples',
      ['search', exampleModel, ...paths, '--held-out', '0'],
      'Expected a compensation and held-out samples for a search',
    ],
    [
      'a wrong size',
      ['quantize', exampleModel, ...paths, '--max-shard-size', 'big'],
      'Expected a size such as 500MB or 5GB.',
    ],
    [
      'a window of one token',
      ['evaluate', exampleModel, '--text', exampleCalibrationText, '--sequence-length', '1'],
      'Expected a whole number of at least 2 for --sequence-length but received 1.',
    ],
  ])('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await ballast(
      [...args, '--json'].filter(notJsonForRoot(args)),
    );
    expect(stderr).toMatch(message instanceof RegExp ? message : new RegExp(escaped(message)));
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

it('what a model does not allow is told in the same words, and is no wrong usage', async () => {
  const paths = ['-o', '/nowhere/result', '-c', exampleCalibrationText];
  const { code, stderr } = await ballast([
    'quantize',
    exampleModel,
    ...paths,
    '--group-size',
    '96',
  ]);
  expect(stderr).toMatch(
    /Expected a --group-size that divides the 128 .* of self_attn.q_proj .* 96; choose 128 or a divisor/,
  );
  expect(code).toBe(1);
});

/** `ballast --json` without a command is another mistake than the one that is meant. */
function notJsonForRoot(args: readonly string[]) {
  return (arg: string) => args.length > 0 || arg !== '--json';
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
