// ONNX files in ONNX Runtime itself, through onnxruntime-node: the same classes as our evaluator on the same weights,
// logits within rounding. `npm run clients` installs it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { checkpointModel } from '../../lib/execution/index.js';
import { openImages } from '../../lib/images/index.js';
import { exportResult, type QuantizeOptions } from '../../lib/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { finish, full } from '../pipeline/runs.js';
import { hasShared, sharedModel, temporaryFolder } from '../places.js';
import { distance, ownLogits, quantizedTiny } from './tiny-vision.js';

const client = new URL(
  '../../build/clients/node_modules/onnxruntime-node/dist/index.js',
  import.meta.url,
);
const hasClient = existsSync(fileURLToPath(client));

/** The little of onnxruntime-node that is used here. */
interface Runtime {
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => object;
  readonly InferenceSession: {
    create(path: string, options: object): Promise<Session>;
  };
}
interface Session {
  run(inputs: Record<string, object>): Promise<{ logits: { data: Float32Array } }>;
}

const dataOf = (name: string) =>
  fileURLToPath(new URL(`../../../shared/data/${name}.safetensors`, import.meta.url));

/** What runs pixels [images, channels, height, width]. */
async function openSession(directory: string) {
  const runtime: Runtime = (await import(client.href)).default;
  const file = join(directory, 'model.onnx');
  const session = await runtime.InferenceSession.create(file, { intraOpNumThreads: 2 });
  return async (pixels: Float32Array, shape: readonly number[]) => {
    const input = new runtime.Tensor('float32', pixels, shape);
    return (await session.run({ pixel_values: input })).logits.data;
  };
}

/** Of the test set's 4,000 unless BALLAST_FULL=1. */
const images = full ? 4000 : 400;
const batch = 50;

interface Comparison {
  /** Percent. */
  readonly ours: number;
  readonly theirs: number;
  /** ‖theirs − ours‖ / ‖ours‖ over all logits. */
  readonly error: number;
}

const argmax = (row: Float32Array) => row.indexOf(row.reduce((a, b) => Math.max(a, b)));

/** Quantizes vit-cifar, and classifies with both. */
async function compare(options: Partial<QuantizeOptions>): Promise<Comparison> {
  const { directory } = await finish(sharedModel('vit-cifar'), {
    method: 'rtn',
    samples: 8,
    sampling: 'sequential',
    format: 'onnx',
    ...options,
    calibration: dataOf('cifar-calibration'),
  });
  const evaluated = join(await temporaryFolder(), 'huggingface');
  await exportResult(directory, { format: 'huggingface', output: evaluated });
  const checkpoint = await Checkpoint.open(evaluated);
  const model = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const { image, classes } = model;
  const session = await openSession(directory);
  const set = await openImages(dataOf('cifar-test'), evaluated, model);
  const device = Device.open('cpu', { threads: 2 });
  try {
    const stored = checkpointModel(device, checkpoint, model);
    using classifier = await ImageClassifier.load(device, stored, model);
    const right = { ours: 0, theirs: 0 };
    let difference = 0;
    let energy = 0;
    for (let begin = 0; begin < images; begin += batch) {
      const pixels = await set.pixels(Array.from({ length: batch }, (_, i) => begin + i));
      const shape = [batch, image.channels, image.height, image.width];
      const ours = await classifier.logits(pixels);
      const theirs = await session(pixels, shape);
      for (let i = 0; i < batch; i++) {
        const row = (logits: Float32Array) => logits.subarray(i * classes, (i + 1) * classes);
        const label = set.labels[begin + i];
        if (argmax(row(ours)) === label) right.ours++;
        if (argmax(row(theirs)) === label) right.theirs++;
      }
      energy += Math.hypot(...ours) ** 2;
      difference += Math.hypot(...ours.map((value, i) => value - (theirs[i] ?? 0))) ** 2;
    }
    const percent = (count: number) => (100 * count) / images;
    const error = Math.sqrt(difference / energy);
    return { ours: percent(right.ours), theirs: percent(right.theirs), error };
  } finally {
    await set.close();
    device.close();
  }
}

const everywhere = { activationSites: ['linear', 'attention'] } as const;

describe.skipIf(!hasClient)('ONNX Runtime on tiny models', () => {
  it.each<[string, Partial<QuantizeOptions>, number]>([
    ['deit-distilled', { bits: 4, compensation: 'position', sites: ['linear', 'block'] }, 1e-5],
    ['vit', { bits: 6, symmetric: true }, 1e-5],
    ['vit', { bits: 2, symmetric: true, activationBits: 6, ...everywhere }, 5e-3],
    ['deit', { bits: 3, activationBits: 8, ...everywhere }, 5e-3],
    ['swin', { bits: 4, compensation: 'none' }, 1e-5],
    [
      'swin-positions-three-stages',
      { bits: 8, activationBits: 8, ...everywhere, compensation: 'position' },
      5e-3,
    ],
  ])('runs %s with %j as our evaluator does', async (variant, options, tolerance) => {
    const directory = await quantizedTiny(variant, options);
    const device = Device.open('cpu', { threads: 2 });
    try {
      const { shape, pixels, logits } = await ownLogits(device, directory, variant);
      const session = await openSession(directory);
      expect(distance(await session(pixels, shape), logits)).toBeLessThan(tolerance);
    } finally {
      device.close();
    }
  });
});

const cpuInfo = '/proc/cpuinfo';
/**
 * Without VNNI, ONNX Runtime adds pairs of products with signed codes in 16 bits (docs/formats.md): those of codes of 8 bits
 * may not fit, those of 7 do.
 */
const saturates =
  process.arch === 'x64' &&
  existsSync(cpuInfo) &&
  !/\b(avx_vnni|avx512_vnni)\b/.test(readFileSync(cpuInfo, 'utf8'));

const symmetric = {
  symmetric: true,
  activationBits: 8,
  activationSymmetric: true,
  compensation: 'position',
  sites: ['linear', 'block'],
} satisfies Partial<QuantizeOptions>;

describe.skipIf(!(hasClient && hasShared))('ONNX Runtime', { timeout: 600_000 }, () => {
  async function runs(name: string, options: Partial<QuantizeOptions>, tolerance: number) {
    const { ours, theirs, error } = await compare(options);
    if (full) console.log(name, { ours, theirs, error });
    expect(error).toBeLessThan(tolerance);
    // 0.2 points. Of 400 images one more or less is 0.25; 4 bits have so few codes that a number in the middle of two,
    // which rounding of the last digit sends either way, can move two images.
    const fewImages = options.activationBits === 4 ? 0.5 : 0.25;
    expect(Math.abs(ours - theirs)).toBeLessThanOrEqual(full ? 0.2 : fewImages);
  }

  // What the others and the tiny models have between them.
  it.runIf(full).each<[string, Partial<QuantizeOptions>, number]>([
    ['W4, per channel', { bits: 4 }, 1e-5],
    ['W8', { bits: 8 }, 1e-5],
    ['W4A8', { bits: 4, activationBits: 8, ...everywhere }, 5e-3],
  ])('runs %s as our evaluator does', runs);

  it.each<[string, Partial<QuantizeOptions>, number]>([
    ['W4, groups of 32, symmetric', { bits: 4, groupSize: 32, symmetric: true }, 1e-5],
    ['W8A8', { bits: 8, activationBits: 8, ...everywhere }, 5e-3],
    ['W7A8, symmetric, biases per position', { bits: 7, ...symmetric }, 5e-3],
    ['W4A8, groups of 64', { bits: 4, groupSize: 64, activationBits: 8 }, 5e-3],
    [
      'W4A4, twin ranges',
      {
        bits: 4,
        activationBits: 4,
        ...everywhere,
        activationRange: 'cosine',
        activationTwin: true,
      },
      2e-2,
    ],
  ])('runs %s as our evaluator does', runs);

  it.skipIf(saturates)('runs W8A8, symmetric, biases per position, as our evaluator does', () =>
    runs('W8A8, symmetric', { bits: 8, ...symmetric }, 5e-3),
  );
});
