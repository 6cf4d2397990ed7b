// What is done to an image before a model sees it, from preprocessor_config.json: resize, crop in the middle, scale to
// floats, normalize each channel. The same fields as the image processors of transformers.

import { join } from 'node:path';
import { isRecord, readJsonObject } from '../checkpoint/bounded-json.js';
import { BallastError } from '../errors.js';
import type { ImageShape } from '../models/index.js';

export interface Size {
  readonly height: number;
  readonly width: number;
}

type Kernel = 'nearest' | 'lanczos3' | 'linear' | 'cubic';

interface Resizing {
  /** Both sides, or the shorter one with the other in proportion. */
  readonly size: Size | number;
  readonly kernel: Kernel;
}

export interface Preprocessing {
  /** Absent where images are taken as they are. */
  readonly resize?: Resizing;
  /** The middle of the resized image. */
  readonly crop?: Size;
  /** What a byte is multiplied by. */
  readonly factor: number;
  /** Per channel, after scaling. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

const file = 'preprocessor_config.json';
/** By the numbers that PIL gives its filters. */
const kernels: readonly Kernel[] = ['nearest', 'lanczos3', 'linear', 'cubic'];

/** Errors: ERR_CHECKPOINT for a file that is missing, malformed, or gives other images than the model reads. */
export async function readPreprocessing(
  directory: string,
  image: ImageShape,
): Promise<Preprocessing> {
  const config = await readJsonObject(join(directory, file));
  if (config === undefined) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${file} in ${directory}, which says how images become inputs; fetch it from where the model is from.`,
    );
  }
  const preprocessing = parse(config, image.channels);
  const { crop, resize } = preprocessing;
  const result = crop ?? resize?.size;
  if (typeof result === 'number') throw wrong('crop_size', 'a size', config.crop_size);
  if (result && (result.height !== image.height || result.width !== image.width)) {
    const field = crop === undefined ? 'size' : 'crop_size';
    throw wrong(field, `${image.height} × ${image.width} as config.json says`, config[field]);
  }
  return preprocessing;
}

function parse(config: Record<string, unknown>, channels: number): Preprocessing {
  const flag = (field: string, fallback: boolean) => {
    const value = config[field] ?? fallback;
    if (typeof value !== 'boolean') throw wrong(field, 'true or false', value);
    return value;
  };
  const statistic = (field: string, fallback: number) => {
    const value = config[field] ?? fallback;
    const list = Array.isArray(value) ? value : Array<unknown>(channels).fill(value);
    if (list.length !== channels || !list.every((item) => typeof item === 'number')) {
      throw wrong(field, `${channels} numbers`, value);
    }
    return list as number[];
  };
  if (config.crop_pct !== undefined && config.crop_pct !== null) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected no crop_pct in ${file}: it is not supported.`,
    );
  }
  const normalize = flag('do_normalize', true);
  const deviation = normalize ? statistic('image_std', 0.5) : Array<number>(channels).fill(1);
  if (deviation.some((value) => value <= 0)) {
    throw wrong('image_std', 'numbers above 0', config.image_std);
  }
  return {
    ...(flag('do_resize', true) ? { resize: readResize(config) } : {}),
    ...(flag('do_center_crop', false) ? { crop: readCrop(config) } : {}),
    factor: flag('do_rescale', true) ? readFactor(config) : 1,
    mean: normalize ? statistic('image_mean', 0.5) : Array<number>(channels).fill(0),
    deviation,
  };
}

function readResize({ size, resample = 2 }: Record<string, unknown>): Resizing {
  const kernel = kernels[resample as number];
  if (kernel === undefined) throw wrong('resample', 'a filter from 0 to 3', resample);
  // A bare number means both sides in newer files and the shorter side in older ones that crop afterwards.
  if (isSide(size)) return { size: { height: size, width: size }, kernel };
  if (isRecord(size) && isSide(size.shortest_edge)) return { size: size.shortest_edge, kernel };
  return { size: readSize('size', size), kernel };
}

function readCrop({ crop_size: size }: Record<string, unknown>): Size {
  return isSide(size) ? { height: size, width: size } : readSize('crop_size', size);
}

function readSize(field: string, value: unknown): Size {
  if (!isRecord(value) || !isSide(value.height) || !isSide(value.width)) {
    throw wrong(field, 'height and width', value);
  }
  return { height: value.height, width: value.width };
}

function readFactor({ rescale_factor: factor = 1 / 255 }: Record<string, unknown>): number {
  if (typeof factor !== 'number' || !(factor > 0))
    throw wrong('rescale_factor', 'a number', factor);
  return factor;
}

function isSide(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0 && (value as number) < 65536;
}

function wrong(field: string, expected: string, received: unknown): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `Expected ${expected} for ${field} in ${file} but received ${JSON.stringify(received)}.`,
  );
}
