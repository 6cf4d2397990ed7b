// What goes wrong in the middle of a run: one error that names the tensor, layer or file, and no output directory.

import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SafetensorsWriter } from '../../lib/checkpoint/output/safetensors-writer.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { BallastError } from '../../lib/errors.js';
import { evaluate, inspect, planMemory, type QuantizeOptions, quantize } from '../../lib/index.js';
import { foldedBias } from '../../lib/pipeline/sites/folded-bias.js';
import { builtCommand, exampleText, temporaryFolder } from '../places.js';
import { type RandomOpt, randomOpt } from './random-opt.js';
import { finish } from './runs.js';

const shape = { blocks: 2, hiddenSize: 32, mlpSize: 64 };
const sampling = { samples: 4, sequenceLength: 64, sampling: 'sequential' } as const;

/** The error of a run, which must leave its folder as it was. */
async function failure(
  edit: NonNullable<RandomOpt['edit']>,
  options: Partial<QuantizeOptions> = {},
): Promise<unknown> {
  const folder = await temporaryFolder();
  const model = await randomOpt(folder, { ...shape, edit });
  const before = await readdir(folder);
  const output = join(folder, 'result');
  const run = quantize(model, { ...sampling, calibration: exampleText, ...options, output });
  try {
    for await (const { type } of run) expect(type).not.toBe('done');
  } catch (error) {
    expect(await readdir(folder)).toEqual(before);
    return error;
  }
  throw new Error('The run succeeded.');
}

const put =
  (tensor: string, index: number, value: number) => (name: string, values: Float32Array) => {
    if (name === tensor) values[index] = value;
  };

describe('a checkpoint with values that are not finite', () => {
  it.each([
    ['self_attn.k_proj.weight', Number.NaN],
    ['fc2.weight', Number.POSITIVE_INFINITY],
    ['fc1.bias', Number.NaN],
    ['final_layer_norm.weight', Number.NEGATIVE_INFINITY],
  ])('is refused, naming %s', async (tensor, value) => {
    expect(await failure(put(tensor, 5, value))).toMatchObject({
      name: 'BallastError',
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(
        `layers.0.${tensor} in .*model.safetensors holds 1 values that are NaN or infinite`,
      ),
    });
  });

  it('finite weights whose products overflow name the layer', async () => {
    const huge = (name: string, values: Float32Array) => {
      if (name !== 'fc1.weight') return;
      values.forEach((value, i) => {
        values[i] = value * 1e25;
      });
    };
    expect(await failure(huge)).toMatchObject({
      name: 'BallastError',
      code: 'ERR_NUMERIC',
      message: expect.stringContaining('layers.0.fc2'),
    });
    // Where no moment is factorised it is the certificate that notices.
    expect(await failure(huge, { method: 'rtn' })).toMatchObject({
      name: 'BallastError',
      code: 'ERR_NUMERIC',
      message: expect.stringMatching(/^model\.decoder\.layers\.0\.fc2: Expected finite outputs/),
    });
  });

  it('a bias that the type of the file cannot hold is told, not written as infinity', async () => {
    const device = Device.open('cpu', { threads: 1 });
    onTestFinished(() => device.close());
    const added = Float32Array.of(1, -65520);
    await expect(foldedBias(device, undefined, 'float16', added)).rejects.toMatchObject({
      code: 'ERR_NUMERIC',
      message: expect.stringMatching(/range of float16, .* one is -65520; convert/),
    });
    using held = await foldedBias(device, undefined, 'bfloat16', added);
    expect(await held?.readFloat32()).toEqual(Float32Array.of(1, -65536));
  });
});

describe('inputs that are dead or dependent', () => {
  /** The first norm gives `live` channels that differ, and zeros elsewhere. */
  const deaden = (live: number) => (name: string, values: Float32Array) => {
    if (name.startsWith('self_attn_layer_norm')) values.fill(0, live);
  };

  it.each([
    ['half of the channels', 16],
    ['all channels', 0],
  ])('are quantized: %s', async (_, live) => {
    const model = await randomOpt(await temporaryFolder(), { ...shape, edit: deaden(live) });
    const { report } = await finish(model, { ...sampling, bits: 3 });
    for (const { name, error, errorWithBias, heldOutError = 0 } of report.layers) {
      for (const value of [error, errorWithBias, heldOutError]) {
        expect(Number.isFinite(value), `${name}: ${value}`).toBe(true);
      }
      expect(errorWithBias, name).toBeLessThanOrEqual(error);
    }
  });

  it('a moment of fewer tokens than channels takes damping, and says how much', async () => {
    const model = await randomOpt(await temporaryFolder(), { ...shape, mlpSize: 512 });
    const run = { ...sampling, samples: 2, heldOut: 0, damping: 0, bits: 3 } as const;
    const { report } = await finish(model, run);
    const [fc2] = report.layers.filter(({ name }) => name.endsWith('fc2'));
    expect(fc2?.damping).toBeGreaterThan(0);
    expect(fc2?.damping).toBeLessThan(0.1);
  });
});

describe.skipIf(process.platform === 'win32')('a file system that takes no more', () => {
  it('ends the command with one sentence and no directory', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, { ...shape, hiddenSize: 64 });
    const before = await readdir(folder);
    // A limit on the size of files, in blocks of 512 or 1024 bytes, stands for a disk that is full.
    const command = 'ulimit -f 600; exec "$@"';
    const args = ['quantize', model, '-o', join(folder, 'result'), '-c', exampleText, '--json'];
    const options = ['--samples', '4', '--sequence-length', '64', '--method', 'rtn'];
    const child = [process.execPath, builtCommand, ...args, ...options];
    const { status, stdout, stderr } = spawnSync('sh', ['-c', command, 'sh', ...child], {
      encoding: 'utf8',
    });
    const errors = stderr.split('\n').filter((line) => line.startsWith('error: '));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/creating model\.safetensors .* allows no file this large/);
    expect([status, stdout]).toEqual([1, '']);
    expect(await readdir(folder)).toEqual(before);
  });
});

it('a linear whose bias cannot be fitted leaves no tensor to the collector', async () => {
  const made: Tensor[] = [];
  const { descend, dequantize } = Device.prototype;
  vi.spyOn(Device.prototype, 'descend').mockImplementation(function (this: Device, ...operands) {
    const found = descend.apply(this, operands);
    made.push(...Object.values(found));
    return found;
  });
  vi.spyOn(Device.prototype, 'dequantize').mockImplementation(function (this: Device, ...operands) {
    const weight = dequantize.apply(this, operands);
    made.push(weight);
    // From here on nothing can be read: neither the damping nor what the bias is fitted of.
    const noMemory = new BallastError('ERR_MEMORY', 'No memory is left.');
    vi.spyOn(Device.prototype, 'readBytes').mockRejectedValue(noMemory);
    return weight;
  });
  try {
    expect(await failure(() => {})).toMatchObject({ code: 'ERR_MEMORY' });
    expect(made.length).toBeGreaterThan(3);
    expect(made.filter((tensor) => !tensor.disposed)).toEqual([]);
  } finally {
    vi.restoreAllMocks();
  }
});

it('a weight that cannot be written ends the run, though the next block is worked on by then', async () => {
  const full = new BallastError('ERR_IO', 'There is no space left.');
  const write = vi.spyOn(SafetensorsWriter.prototype, 'write').mockRejectedValueOnce(full);
  onTestFinished(() => write.mockRestore());
  expect(await failure(() => {})).toBe(full);
  // The other linears of the first block and what lies beside them; nothing of the second.
  expect(write.mock.calls.filter(([name]) => name.startsWith('layers.1'))).toEqual([]);
});

describe('a signal that fires while data is read', () => {
  it('ends the run there: a long text is not tokenized to its end', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    const calibration = join(folder, 'long.txt');
    await writeFile(calibration, 'It was a dark and stormy night. '.repeat(300_000));
    const controller = new AbortController();
    const options = { ...sampling, calibration, output: join(folder, 'result') };
    const run = quantize(model, { ...options, signal: controller.signal });
    expect((await run.next()).value).toMatchObject({ type: 'start' });
    const next = run.next();
    const cause = new Error('No time left.');
    setTimeout(() => controller.abort(cause), 200);
    await expect(next).rejects.toMatchObject({ code: 'ERR_ABORTED', cause });
  });

  it('ends an evaluation, and a run that has not begun', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    const signal = AbortSignal.abort();
    const evaluation = evaluate(model, { texts: [exampleText], signal });
    await expect(evaluation).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const options = {
      ...sampling,
      calibration: exampleText,
      output: join(folder, 'result'),
      signal,
    };
    for (const run of [quantize(model, options).next(), planMemory(model, options)]) {
      await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    }
    await expect(inspect(model, { signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});

describe('what is told before any work', () => {
  it('an output directory with files in it, or that is the source', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    for (const [output, message] of [
      [folder, /has files in it; choose another/],
      [model, /has files in it/],
    ] as const) {
      const run = quantize(model, { ...sampling, calibration: '/nowhere/text.txt', output });
      await expect(run.next()).rejects.toThrow(message);
    }
    const options = { ...sampling, calibration: '/nowhere/text.txt', output: model };
    await expect(quantize(model, { ...options, overwrite: true }).next()).rejects.toThrow(
      /other than the model that is read/,
    );
  });

  it('a model that the format cannot hold', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    const output = join(folder, 'result');
    for (const format of ['gguf', 'onnx']) {
      const options = { ...sampling, calibration: '/nowhere/text.txt', output, format };
      const refused = {
        code: 'ERR_UNSUPPORTED',
        message: expect.stringMatching(/Expected a model of type .* but received opt/),
      };
      await expect(quantize(model, options).next()).rejects.toMatchObject(refused);
      await expect(planMemory(model, options)).rejects.toMatchObject(refused);
    }
  });

  it.each([
    ['of another type', 'fc1.weight', 'F32', 'I32', /holds int32; convert/],
    ['transposed', 'fc1.weight', '[64,32]', '[32,64]', /holds \[32, 64\]/],
    ['a linear that is missing', 'fc1.weight', 'fc1', 'fc3', /not there/],
    ['a norm that is missing', 'final_layer_norm.bias', 'bias', 'beta', /not there/],
  ])('a tensor of the last block: %s', async (_, name, from, to, told) => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    const path = join(model, 'model.safetensors');
    const bytes = await readFile(path);
    bytes.write(to, bytes.indexOf(from, bytes.indexOf(`layers.1.${name}`)));
    await writeFile(path, bytes);
    const output = join(folder, 'result');
    const run = quantize(model, { ...sampling, calibration: '/nowhere/text.txt', output });
    const error = await run.next().catch((reason) => reason);
    for (const part of [`layers.1.${name}`, model, told]) expect(error.message).toMatch(part);
    await expect(evaluate(model, { texts: [exampleText] })).rejects.toThrow(error.message);
  });

  it('weights that another tool has quantized', async () => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, shape);
    const path = join(model, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(
      path,
      JSON.stringify({ ...config, quantization_config: { quant_method: 'awq' } }),
    );
    const output = join(folder, 'result');
    const refused = {
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(/\(awq\); pass the/),
    };
    const options = { ...sampling, calibration: exampleText, output };
    await expect(quantize(model, options).next()).rejects.toMatchObject(refused);
    await expect(planMemory(model, options)).rejects.toMatchObject(refused);
    await expect(evaluate(model, { texts: [exampleText] })).rejects.toMatchObject(refused);
  });
});
