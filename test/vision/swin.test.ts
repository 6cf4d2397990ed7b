// Whole runs on a model whose blocks differ: windows, stages of different widths and token counts, merged patches.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { activationFile, checkpointModel, positionBiasFile } from '../../lib/execution/index.js';
import {
  inspect,
  type QuantizeOptions,
  quantize,
  type RunReport,
  verify,
} from '../../lib/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { at, normals } from '../native/harness.js';
import { directoryOf, floatsOf, writeTensors } from './fixtures.js';

const golden = join(directoryOf('swin'), 'golden.safetensors');
/** Six linears in each of three blocks of attention, and one where patches are merged. */
const linears = 19;

let root: string;
/** The tiny checkpoint with what says how images become inputs. */
let model: string;
let device: Device;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ballast-swin-'));
  device = Device.open('cpu', { threads: 2 });
  model = join(root, 'model');
  cpSync(directoryOf('swin'), model, { recursive: true });
  const half = [0.5, 0.5, 0.5];
  const preprocessing = { size: { height: 16, width: 16 }, image_mean: half, image_std: half };
  writeFileSync(join(model, 'preprocessor_config.json'), JSON.stringify(preprocessing));
  const pixels = normals(24 * 16 * 16 * 3, 1, 60, 128);
  writeTensors(join(root, 'images.safetensors'), {
    images: { dtype: 'U8', shape: [24, 16, 16, 3], data: Uint8Array.from(pixels, Math.round) },
    labels: { dtype: 'I64', shape: [24], data: new BigInt64Array(24) },
  });
});
afterAll(() => {
  device.close();
  rmSync(root, { recursive: true });
});

let runs = 0;
async function run(options: Partial<QuantizeOptions>): Promise<[string, RunReport]> {
  const output = join(root, `${runs++}`);
  const calibration = join(root, 'images.safetensors');
  const events = quantize(model, { calibration, samples: 16, method: 'rtn', ...options, output });
  for (;;) {
    const { value, done } = await events.next();
    if (done) return [output, value];
  }
}

/** The largest difference from the logits of the source, relative to the largest of those. */
async function change(directory: string): Promise<number> {
  const checkpoint = await Checkpoint.open(directory);
  const definition = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const stored = checkpointModel(device, checkpoint, definition);
  using classifier = await ImageClassifier.load(device, stored, definition);
  const logits = await classifier.logits(await floatsOf(golden, 'pixels'));
  const expected = await floatsOf(golden, 'logits');
  const difference = Math.max(...logits.map((value, i) => Math.abs(value - at(expected, i))));
  return difference / Math.max(...expected.map(Math.abs));
}

describe('a run', () => {
  test('8 bits change logits little; every linear is there', async () => {
    const [output, report] = await run({ bits: 8, compensation: 'none' });
    expect(report.layers).toHaveLength(linears);
    expect(report.layers.map(({ name }) => name)).toContain(
      'swin.encoder.layers.0.downsample.reduction',
    );
    expect(await change(output)).toBeLessThan(0.02);
    expect(await inspect(output)).toMatchObject({ modelType: 'swin', linears, hiddenSize: 32 });
  });

  test.each(['channel', 'position'] as const)('certificates hold, per %s', async (compensation) => {
    const [output, report] = await run({
      bits: 3,
      activationBits: 4,
      activationSites: ['linear', 'attention'],
      activationRange: 'hessian',
      activationTwin: true,
      weightSearch: 'hessian',
      compensation,
      sites: ['linear', 'matmul', 'attention', 'mlp', 'block'],
    });
    let kept = 0;
    for (const { error, errorWithBias, biasEnergy, biasKept } of report.layers) {
      expect(errorWithBias).toBeLessThanOrEqual(error);
      if (!biasKept) continue;
      kept++;
      expect(error - errorWithBias).toBeCloseTo(biasEnergy, 5);
    }
    expect(kept).toBeGreaterThan(linears / 2);
    expect(await change(output)).toBeLessThan(1.5);
    // Merged patches have no attention whose operands could be quantized.
    const { blocks } = JSON.parse(readFileSync(join(output, activationFile), 'utf8'));
    expect(
      blocks.map(({ attention }: object & { attention?: object }) => attention !== undefined),
    ).toEqual([true, true, false, true]);
  });

  test('biases per position have each stage’s tokens', async () => {
    const options = { compensation: 'position', sites: ['linear', 'block'], heldOut: 0 } as const;
    const [output] = await run({ bits: 3, ...options });
    const { tensors } = await readHeader(join(output, positionBiasFile));
    const shapeOf = (site: string) => tensors.get(`${site}.position_bias`)?.shape;
    const layers = 'swin.encoder.layers';
    expect(shapeOf(`${layers}.0.blocks.1.output.dense`)).toEqual([64, 16]);
    expect(shapeOf(`${layers}.0.blocks.1`)).toEqual([64, 16]);
    expect(shapeOf(`${layers}.0.downsample.reduction`)).toEqual([16, 32]);
    expect(shapeOf(`${layers}.0.downsample`)).toBeUndefined();
    expect(shapeOf(`${layers}.1.blocks.0.intermediate.dense`)).toEqual([16, 64]);
    const [bare] = await run({ bits: 3, compensation: 'none' });
    expect(await change(output)).not.toBe(await change(bare));
  });

  test('packed formats hold blocks of every shape', async () => {
    for (const format of ['compressed-tensors', 'gptq', 'onnx']) {
      const [output] = await run({ bits: 4, format, compensation: 'channel' });
      expect((await verify(output)).linears).toBe(linears);
    }
  });

  test('a bias that no checkpoint of the architecture holds is not fitted', async () => {
    const [, report] = await run({ bits: 4, compensation: 'channel' });
    expect(report.dropped).toEqual(['reduction']);
    const merging = report.layers.find(({ name }) => name.endsWith('reduction'));
    expect(merging).toMatchObject({ biasKept: false, biasEnergy: 0 });
  });
});
