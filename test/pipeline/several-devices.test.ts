// A run on several devices against the same run on one: statistics are sums, so results agree to the rounding of sums;
// the same list gives the same bytes again; and what fails on one device ends the run on all.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { BallastError } from '../../lib/errors.js';
import { evaluate, planMemory, type QuantizeOptions, quantize, search } from '../../lib/index.js';
import { gpus } from '../native/harness.js';
import { exampleModel, exampleText, temporaryFolder } from '../places.js';
import { randomOpt } from './random-opt.js';
import { type Finished, filesOf, finish, mean } from './runs.js';

/** Three mini-batches that are fitted on and one that judges: no even split. */
const sampling = { samples: 24, sequenceLength: 256, bits: 3, threads: 1 } as const;
const both = ['cpu', 'cpu'];

let folder: string;
let small: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ballast-devices-'));
  small = await randomOpt(folder, { blocks: 2, hiddenSize: 64, mlpSize: 128 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function onOneAndTwo(model: string, options: Partial<QuantizeOptions>) {
  const one = await finish(model, { ...sampling, ...options });
  const two = await finish(model, { ...sampling, ...options, device: both });
  const { device } = one.report.environment;
  expect(two.report.environment.device).toBe(`${device}; ${device}`);
  return { one, two };
}

/** Of each layer, and of blocks and the final hidden states where they are sites. */
const figuresOf = ({ report }: Finished) =>
  [...report.layers, ...report.outputs].flatMap(
    ({ error, errorWithBias, heldOutError = error, outputEnergy }) => [
      error,
      errorWithBias,
      heldOutError,
      outputEnergy,
    ],
  );

function expectNear(actual: Finished, expected: Finished, tolerance: number): void {
  const wanted = figuresOf(expected);
  for (const [i, figure] of figuresOf(actual).entries()) {
    expect(Math.abs(figure / (wanted[i] ?? Number.NaN) - 1)).toBeLessThan(tolerance);
  }
}

describe('two devices agree with one', () => {
  // Codes that are rounded by themselves are the same, so all the rest is.
  it.each<[string, Partial<QuantizeOptions>]>([
    ['the float path', { propagate: 'float' }],
    ['the quantized path, every site', { sites: ['linear', 'block', 'model'], target: 'float' }],
    ['biases per position', { compensation: 'position', sites: ['linear', 'block'] }],
    [
      'static activations, searched weights',
      { weightSearch: 'cosine', activationBits: 8, activationSites: ['linear', 'attention'] },
    ],
    ['one stage a block', { trueSequential: false, heldOut: 0 }],
  ])('in every figure: rounding, %s', async (_, options) => {
    const { one, two } = await onOneAndTwo(small, { method: 'rtn', ...options });
    expectNear(two, one, 2e-6);
  });

  // A code that comes out the other way changes all that follow: a whole run agrees on average.
  it.each(['gptq', 'descent'])('on average: %s', async (method) => {
    const { one, two } = await onOneAndTwo(exampleModel, { method });
    const errors = ({ report }: Finished) => mean(report.layers.map((l) => l.errorWithBias));
    expect(Math.abs(errors(two) / errors(one) - 1)).toBeLessThan(0.02);
    const [first, same] = [one, two].map(({ report }) => report.layers[0]?.errorWithBias);
    expect(Math.abs((same ?? 0) / (first ?? 0) - 1)).toBeLessThan(1e-4);
    const [onOne, onTwo] = [await perplexity(one, 'cpu'), await perplexity(two, 'cpu')];
    expect(Math.abs(onTwo / onOne - 1)).toBeLessThan(0.01);
    expect(await perplexity(one, both)).toBe(onOne);
  });
});

async function perplexity({ directory }: Finished, device: string | string[]): Promise<number> {
  const options = { texts: [exampleText], sequenceLength: 256, threads: 1, device };
  return (await evaluate(directory, options)).results[0]?.perplexity ?? Number.NaN;
}

describe.skipIf(gpus.length === 0)('a GPU shares a run', () => {
  // Small enough for kernels that are emulated, which take minutes.
  it.each([
    ['cpu', gpus[0] ?? ''],
    [gpus[0] ?? '', 'cpu'],
    ...(gpus.length > 1 ? [gpus.slice(0, 2)] : []),
  ])(
    '%s, %s',
    async (...device) => {
      const shape = { blocks: 2, hiddenSize: 32, mlpSize: 64 };
      const model = await randomOpt(await temporaryFolder(), shape);
      const options = { method: 'rtn', samples: 5, sequenceLength: 512, heldOut: 0, threads: 1 };
      const one = await finish(model, options);
      expectNear(await finish(model, { ...options, device }), one, 1e-4);
    },
    600_000,
  );
});

it('the same list gives the same bytes again', async () => {
  const options = { ...sampling, method: 'gptq', device: both };
  const first = await finish(small, options);
  const again = await finish(small, options);
  expect(await filesOf(again)).toEqual(await filesOf(first));
  expect(again.report.layers).toEqual(first.report.layers);
});

it('a device that would have no mini-batch is left out', async () => {
  const { report } = await finish(small, { ...sampling, device: [...both, 'cpu', 'cpu', 'cpu'] });
  expect(report.environment.device.split('; ')).toHaveLength(3);
});

it('a search judges on all of them', async () => {
  const options = { method: 'rtn', bits: 2, samples: 68, sequenceLength: 64, threads: 1 } as const;
  const scores = async (device: string[]) => {
    const output = join(await temporaryFolder(), 'result');
    const files = { output, calibration: exampleText };
    const found: number[] = [];
    for await (const event of search(small, { ...options, ...files, device })) {
      if (event.type === 'candidate') found.push(event.candidate.heldOutPerplexity ?? Number.NaN);
    }
    return found;
  };
  const one = await scores(['cpu']);
  expect(one).toHaveLength(32);
  const judged = vi.spyOn(Device.prototype, 'crossEntropy');
  for (const [i, score] of (await scores(both)).entries()) {
    expect(Math.abs(score / (one[i] ?? Number.NaN) - 1)).toBeLessThan(1e-4);
  }
  expect(new Set(judged.mock.contexts).size).toBe(2);
  judged.mockRestore();
});

it('the plan counts one device, with its share of the samples', async () => {
  const options = { ...sampling, output: 'result', calibration: exampleText };
  const part = (plan: Awaited<ReturnType<typeof planMemory>>, what: string) =>
    plan.parts.find((one) => one.what === what)?.bytes;
  const one = await planMemory(small, options);
  const two = await planMemory(small, { ...options, device: both });
  expect([one.devices, two.devices, two.tokens]).toEqual([1, 2, one.tokens]);
  expect(part(two, 'weights of a block')).toBe(part(one, 'weights of a block'));
  // Of 3 and 1 mini-batches of 8 samples the first device has 2 and 1, the last of 3 samples only.
  const states = [one, two].map((plan) => part(plan, 'hidden states') ?? Number.NaN);
  expect((states[1] ?? 0) / (states[0] ?? 0)).toBeCloseTo(19 / 27);
});

describe('what goes wrong', () => {
  afterEach(() => vi.restoreAllMocks());

  /** The error of a run on two devices, which must leave nothing behind; `arm` is given both devices. */
  async function failure(
    arm: (devices: readonly Device[]) => void,
    options: Partial<QuantizeOptions> = {},
  ): Promise<unknown> {
    const folder = await temporaryFolder();
    const open = vi.spyOn(Device, 'open');
    const close = vi.spyOn(Device.prototype, 'close');
    const run = { ...sampling, calibration: exampleText, output: join(folder, 'result') };
    try {
      for await (const { type } of quantize(small, { ...run, device: both, ...options })) {
        if (type === 'calibration') arm(open.mock.results.map(({ value }) => value as Device));
      }
    } catch (error) {
      expect(await readdir(folder)).toEqual([]);
      expect(close.mock.contexts).toEqual(open.mock.results.map(({ value }) => value));
      return error;
    }
    throw new Error('The run succeeded.');
  }

  it.each([0, 1])('on device %i ends the run and names the device', async (place) => {
    const error = await failure((devices) => {
      let waits = 0;
      const device = devices[place] as Device;
      const synchronize = device.synchronize.bind(device);
      vi.spyOn(device, 'synchronize').mockImplementation(() => {
        if (++waits <= 5) return synchronize();
        return Promise.reject(new BallastError('ERR_CUDA', 'The GPU was lost.'));
      });
    });
    expect(error).toMatchObject({ name: 'BallastError', code: 'ERR_CUDA' });
    expect(String(error)).toMatch(`cpu (device ${place + 1} of 2): The GPU was lost.`);
  });

  it('an abort ends all', async () => {
    const stop = new AbortController();
    const error = await failure(() => void setImmediate(() => stop.abort()), {
      signal: stop.signal,
    });
    expect(error).toMatchObject({
      code: 'ERR_ABORTED',
      message: 'The quantization was aborted.',
    });
  });

  it.each([
    ['cuda:0', 'cuda:0'],
    ['cpu', 'cuda:1', 'cuda:1'],
  ])('a GPU that is named twice is refused: %s, %s', async (...device) => {
    const options = { output: 'result', calibration: exampleText, device };
    await expect(quantize(small, options).next()).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: `Expected each GPU once in device but received ${device.at(-1)} twice; only cpu may be named again.`,
    });
    await expect(evaluate(small, { texts: [exampleText], device })).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    });
  });
});
