// The tiny image classifiers as results of whole runs, and their logits on the images that came with them.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import type { Device } from '../../lib/device/index.js';
import { ImageClassifier } from '../../lib/evaluate/image-classifier.js';
import { checkpointModel } from '../../lib/execution/index.js';
import { exportResult, type QuantizeOptions } from '../../lib/index.js';
import { readVisionModel } from '../../lib/models/index.js';
import { normals } from '../native/harness.js';
import { finish } from '../pipeline/runs.js';
import { temporaryFolder } from '../places.js';
import { directoryOf, floatsOf, writeTensors } from '../vision/fixtures.js';

/** Random ones, to calibrate on. */
const few = 8;

/** A tiny model that can be quantized, and random images; `fields` go into its config.json. */
export async function tinyModel(variant: string, fields: object = {}, images = few) {
  const directory = join(await temporaryFolder(), 'model');
  cpSync(directoryOf(variant), directory, { recursive: true });
  const file = join(directory, 'config.json');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), ...fields };
  const { image_size: size, num_channels: channels } = config;
  writeFileSync(file, JSON.stringify(config));
  const statistics = { image_mean: 0.5, image_std: 0.25, do_resize: false };
  writeFileSync(join(directory, 'preprocessor_config.json'), JSON.stringify(statistics));
  const calibration = join(directory, 'calibration.safetensors');
  const shape = [images, size, size, channels];
  const pixels = normals(images * size * size * channels, 7, 40, 128);
  writeTensors(calibration, {
    images: { dtype: 'U8', shape, data: Uint8Array.from(pixels) },
    labels: {
      dtype: 'I64',
      shape: [images],
      data: BigInt64Array.from({ length: images }, (_, i) => BigInt(i % 7)),
    },
  });
  return { directory, calibration };
}

/** The directory of a run's result, of format onnx unless told otherwise. */
export async function quantizedTiny(
  variant: string,
  options: Partial<QuantizeOptions>,
  fields: object = {},
): Promise<string> {
  const { directory: model, calibration } = await tinyModel(variant, fields);
  const given = { method: 'rtn', samples: few, heldOut: 0, format: 'onnx', ...options };
  return (await finish(model, { ...given, calibration })).directory;
}

export interface OwnLogits {
  /** [images, channels, height, width]. */
  readonly shape: readonly number[];
  readonly pixels: Float32Array;
  readonly logits: Float32Array;
}

/** What our evaluator makes of a result, dequantized. */
export async function ownLogits(
  device: Device,
  directory: string,
  variant: string,
): Promise<OwnLogits> {
  const evaluated = join(await temporaryFolder(), 'huggingface');
  await exportResult(directory, { format: 'huggingface', output: evaluated });
  const checkpoint = await Checkpoint.open(evaluated);
  const model = readVisionModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const { channels, height, width } = model.image;
  const pixels = await floatsOf(join(directoryOf(variant), 'golden.safetensors'), 'pixels');
  const stored = checkpointModel(device, checkpoint, model);
  using classifier = await ImageClassifier.load(device, stored, model);
  const shape = [pixels.length / (channels * height * width), channels, height, width];
  return { shape, pixels, logits: await classifier.logits(pixels) };
}

/** ‖theirs − ours‖ / ‖ours‖. */
export function distance(theirs: ArrayLike<number>, ours: Float32Array): number {
  const difference = ours.map((value, i) => value - (theirs[i] ?? Number.NaN));
  return Math.hypot(...difference) / Math.hypot(...ours);
}
