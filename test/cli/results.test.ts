// What commands put on stdout and on disk when they succeed, and what they say when they fail: exit code 1, one
// sentence on stderr, an empty stdout, and no result that looks whole.

import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  builtCommand,
  exampleCalibrationText,
  exampleModel,
  exampleTestText,
  temporaryFolder,
} from '../places.js';
import { ballast, quickOptions } from './command.js';

const evaluation = ['--sequence-length', '512', '--json'];

describe('quantize --json', () => {
  it('prints the content of ballast.json, and evaluate and inspect read the result', async () => {
    const folder = await temporaryFolder();
    const output = join(folder, 'result');
    const quantized = await ballast([
      ...['quantize', exampleModel, '-o', output, '-c', exampleCalibrationText, '--json'],
      ...[...quickOptions, '--method', 'rtn', '--seed', '7', '--sites', 'linear,block'],
    ]);
    expect(quantized.code).toBe(0);
    const report = JSON.parse(quantized.stdout);
    expect(report).toEqual(JSON.parse(await readFile(join(output, 'ballast.json'), 'utf8')));
    expect(report.options).toMatchObject({ bits: 3, seed: 7, sites: ['linear', 'block'] });
    expect(report.calibrationTokens).toBe(8 * 128);
    expect(report.layers).toHaveLength(24);
    expect(report.layers[0].name).toBe('model.decoder.layers.0.self_attn.q_proj');
    for (const { error, errorWithBias } of report.layers) {
      expect(errorWithBias).toBeLessThanOrEqual(error);
      expect(error).toBeGreaterThan(0);
    }
    expect(report.seconds.total).toBeGreaterThan(0);
    expect(quantized.stderr).toContain('quantizing: 100 %');
    expect(await readdir(folder)).toEqual(['result']);

    const inspected = await ballast(['inspect', output, '--json']);
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      modelType: 'opt',
      blocks: 4,
      linears: 24,
      linearParameters: 786_432,
      dtypes: ['float16'],
      quantization: { ballast: report.ballast, bitsPerWeight: report.bitsPerWeight },
    });

    // Rounding costs a tenth of the perplexity here, the bias wins most of it back.
    const evaluated = await ballast(['evaluate', output, '--text', exampleTestText, ...evaluation]);
    const [result] = JSON.parse(evaluated.stdout).results;
    expect(result.perplexity).toBeGreaterThan(182);
    expect(result.perplexity).toBeLessThan(195);
  });
});

describe('inspect', () => {
  it('tells of weights that another tool has quantized', async () => {
    const folder = await temporaryFolder();
    const config = JSON.parse(await readFile(join(exampleModel, 'config.json'), 'utf8'));
    const quantization_config = { quant_method: 'awq', bits: 4 };
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ ...config, quantization_config }),
    );
    await symlink(join(exampleModel, 'model.safetensors'), join(folder, 'model.safetensors'));
    const { stdout } = await ballast(['inspect', folder]);
    expect(stdout).toMatch(/quantized +│ yes, awq, not by ballast/);
  });

  it('has no rows of texts for an image classifier', async () => {
    const model = fileURLToPath(new URL('../vision/tiny/vit', import.meta.url));
    const { stdout } = await ballast(['inspect', model]);
    expect(stdout).toMatch(/type +│ vit /);
    expect(stdout).not.toMatch(/vocabulary|positions|undefined/);
  });
});

describe('biases per position', () => {
  it('are evaluated at the length they were fitted on, and at no other', async () => {
    const output = join(await temporaryFolder(), 'result');
    const { code } = await ballast([
      ...['quantize', exampleModel, '-o', output, '-c', exampleCalibrationText, ...quickOptions],
      ...['--method', 'rtn', '--compensation', 'position', '--sites', 'linear,block'],
    ]);
    expect(code).toBe(0);
    const evaluate = (length: string) =>
      ballast(['evaluate', output, '-t', exampleTestText, '--sequence-length', length, '--json']);
    const { stdout } = await evaluate('128');
    expect(JSON.parse(stdout).results[0].perplexity).toBeGreaterThan(100);
    const refused = await evaluate('256');
    expect(refused.stderr).toContain('error: Expected sequences of 128 tokens');
    expect(refused.code).toBe(1);
  });
});

describe('evaluate --json', () => {
  it('gives each text in order, by its name, with the perplexity of an independent program', async () => {
    const folder = await temporaryFolder();
    const second = join(folder, 'b.txt');
    await writeFile(second, (await readFile(exampleCalibrationText, 'utf8')).slice(0, 20_000));
    const texts = ['--text', exampleTestText, '--text', second];
    const { code, stdout } = await ballast(['evaluate', exampleModel, ...texts, ...evaluation]);
    expect(code).toBe(0);
    const { model, results } = JSON.parse(stdout);
    expect(model).toBe(exampleModel);
    expect(results.map(({ text }: { text: string }) => text)).toEqual(['demo-test.txt', 'b.txt']);
    expect(results[0].perplexity).toBeCloseTo(181.3, 1);
    expect(results[0]).toMatchObject({ windows: 41, tokens: 41 * 511 });
  });
});

describe('without --json', () => {
  it('quantize shows a summary and the ten largest errors', async () => {
    const output = join(await temporaryFolder(), 'result');
    const { code, stdout } = await ballast([
      ...['quantize', exampleModel, '-o', output, '-c', exampleCalibrationText, ...quickOptions],
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/mean error with bias +│ [\d.]+ %/);
    expect(stdout.match(/model\.decoder\.layers\./g)).toHaveLength(10);
    expect(stdout).toMatch(/largest errors +│ +error │ with bias │ held out │ with bias │ +bias │/);
    expect(stdout.match(/│ +(kept|dropped) │$/gm)).toHaveLength(10);
  });

  it('devices lists the CPU', async () => {
    const { code, stdout } = await ballast(['devices']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/│ cpu +│ +yes │/);
  });
});

describe('failure', () => {
  async function quantizeFails(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await ballast([
      'quantize',
      ...args,
      ...quickOptions,
      '--json',
    ]);
    expect(stdout).toBe('');
    expect(code).toBe(1);
    const told = stderr.split('\n').filter((line) => line.startsWith('error: '));
    expect(told).toHaveLength(1);
    return told[0] ?? '';
  }

  it('an unknown model_type lists what is supported', async () => {
    const folder = await temporaryFolder();
    const model = join(folder, 'model');
    await mkdir(model);
    await symlink(join(exampleModel, 'model.safetensors'), join(model, 'model.safetensors'));
    await writeFile(join(model, 'config.json'), '{ "model_type": "abacus" }');
    const args = [model, '-o', join(folder, 'result'), '-c', exampleCalibrationText];
    expect(await quantizeFails(args)).toMatch(/\((.*, )?opt(, .*)?\) but received "abacus"/);
    expect(await readdir(folder)).toEqual(['model']);
  });

  it('a group size that does not divide names the layer', async () => {
    const folder = await temporaryFolder();
    const args = [exampleModel, '-o', join(folder, 'result'), '-c', exampleCalibrationText];
    expect(await quantizeFails([...args, '--group-size', '48'])).toMatch(
      /128 input channels of self_attn\.q_proj but received 48/,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('a calibration text that is too short says how many tokens it has', async () => {
    const folder = await temporaryFolder();
    const text = join(folder, 'short.txt');
    await writeFile(text, 'Call me Ishmael.');
    const args = [exampleModel, '-o', join(folder, 'result'), '-c', text];
    expect(await quantizeFails(args)).toMatch(
      /but \S+short\.txt has \d+; lower the number of samples/,
    );
    expect(await readdir(folder)).toEqual(['short.txt']);
  });

  it('an output below a file cannot be written', async () => {
    const file = join(await temporaryFolder(), 'file');
    await writeFile(file, '');
    const args = [exampleModel, '-o', join(file, 'result'), '-c', exampleCalibrationText];
    expect(await quantizeFails(args)).toContain(join(file, 'result'));
  });

  it('an existing result stays as it is', async () => {
    const output = join(await temporaryFolder(), 'result');
    await mkdir(output);
    await writeFile(join(output, 'config.json'), 'kept');
    const args = [exampleModel, '-o', output, '-c', exampleCalibrationText];
    expect(await quantizeFails(args)).toContain('Expected a new or empty output directory');
    expect(await readFile(join(output, 'config.json'), 'utf8')).toBe('kept');
  });

  it('a test text shorter than one window is named', async () => {
    const text = join(await temporaryFolder(), 'short.txt');
    await writeFile(text, 'Call me Ishmael.');
    const { code, stdout, stderr } = await ballast([
      ...['evaluate', exampleModel, '--text', exampleTestText, '--text', text, ...evaluation],
    ]);
    expect(stderr).toContain(`error: Expected at least one window of 512 tokens but ${text} has`);
    expect([code, stdout]).toEqual([1, '']);
  });
});

describe.skipIf(process.platform !== 'linux')('whoever reads', () => {
  /** A shell command in which "$@" is the command with these arguments. */
  const piped = (command: string, args: readonly string[]) =>
    spawnSync('sh', ['-c', command, 'sh', process.execPath, builtCommand, ...args], {
      encoding: 'utf8',
    });

  it('may leave: a run goes on when nobody reads of its progress any more', async () => {
    const folder = await temporaryFolder();
    const args = [
      'quantize',
      exampleModel,
      '-o',
      join(folder, 'result'),
      '-c',
      exampleCalibrationText,
    ];
    const { stdout } = piped('"$@" 2>&1 >/dev/null | head -1', [...args, ...quickOptions]);
    expect(stdout).toBe('opt: 4 blocks, 24 linears\n');
    expect(await readdir(folder)).toEqual(['result']);
  });

  it('may have no space: one sentence and exit code 1', () => {
    const { status, stderr } = piped('"$@" >/dev/full', ['devices', '--json']);
    expect(stderr).toMatch(/^error: Failed writing the result \(stdout\): the disk is full.*\n$/);
    expect(status).toBe(1);
  });
});

describe('without an addon that can be loaded', () => {
  const env = { BALLAST_PREBUILD: '/nowhere' };

  it('a command that computes says so in one sentence', async () => {
    const { code, stdout, stderr } = await ballast(['devices', '--json'], { env });
    expect(stderr).toMatch(
      /^error: Cannot load the native addon .* npm rebuild ballast\. \(.+\)\n$/,
    );
    expect([code, stdout]).toEqual([1, '']);
  });

  it('others need none', async () => {
    const { code, stdout } = await ballast(['inspect', exampleModel, '--json'], { env });
    expect([code, JSON.parse(stdout).linears]).toEqual([0, 24]);
  });
});

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s', (signal, exitCode) => {
  it(`in the middle of a run ends it with ${exitCode} and leaves nothing`, async () => {
    const folder = await temporaryFolder();
    const { code, stdout, stderr } = await ballast(
      [
        ...['quantize', exampleModel, '-o', join(folder, 'result'), '-c', exampleCalibrationText],
        ...['--samples', '64', '--sequence-length', '512', '--json'],
      ],
      {
        onError: (text, kill) => {
          if (text.includes('quantizing: 25 %') && !text.includes('stopping')) kill(signal);
        },
      },
    );
    expect(stderr).toContain('error: The quantization was aborted.');
    expect([code, stdout]).toEqual([exitCode, '']);
    expect(await readdir(folder)).toEqual([]);
  });
});
