// Labelled images as a model reads them, from a tensor file, a directory of class folders, or a list file. What can be
// wrong about labels and headers is found when the set is opened; image files are decoded as they are needed.

import { stat } from 'node:fs/promises';
import { ioError } from '../checkpoint/io-error.js';
import { BallastError } from '../errors.js';
import type { ImageShape, VisionModel } from '../models/index.js';
import { openFolders, openList } from './class-folders.js';
import type { Pixels } from './decode.js';
import { type Preprocessing, readPreprocessing } from './preprocessing.js';
import { openTensorFile } from './tensor-file.js';

/** Where images come from, before they are normalized. */
export interface ImageSource {
  /** The class of each image. */
  readonly labels: Int32Array;
  /** Pixels of the model's size. */
  read(index: number): Promise<Pixels>;
  close?(): Promise<void>;
}

export interface ImageSet {
  readonly labels: Int32Array;
  /** Those images as rows of [channels, height, width] float32. Once `signal` has fired no further one is read. */
  pixels(indices: readonly number[], signal?: AbortSignal): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens `path` (.safetensors, a directory, or a list file) for a model. Errors: ERR_DATA for what cannot be used,
 * ERR_CHECKPOINT for a preprocessor_config.json that does not fit, ERR_IO.
 */
export async function openImages(
  path: string,
  modelDirectory: string,
  model: VisionModel,
): Promise<ImageSet> {
  const preprocessing = await readPreprocessing(modelDirectory, model.image);
  const source = await openSource(path, preprocessing, model);
  return {
    labels: source.labels,
    async pixels(indices, signal) {
      const size = model.image.channels * model.image.height * model.image.width;
      const rows = new Float32Array(indices.length * size);
      for (const [i, index] of indices.entries()) {
        signal?.throwIfAborted();
        const image = expectShape(await source.read(index), index, path, model.image);
        normalize(image, model.image, preprocessing, rows.subarray(i * size, (i + 1) * size));
      }
      return rows;
    },
    close: async () => source.close?.(),
  };
}

async function openSource(
  path: string,
  preprocessing: Preprocessing,
  model: VisionModel,
): Promise<ImageSource> {
  const status = await stat(path).catch((error: unknown) => {
    throw ioError(error, 'opening images', path);
  });
  if (path.endsWith('.safetensors')) return openTensorFile(path, preprocessing, model);
  if (model.image.channels !== 3) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Expected a .safetensors file for a model of ${model.image.channels} channels: image files are read as RGB.`,
    );
  }
  return status.isDirectory()
    ? openFolders(path, preprocessing, model)
    : openList(path, preprocessing, model);
}

function expectShape(pixels: Pixels, index: number, path: string, image: ImageShape): Pixels {
  if (pixels.height === image.height && pixels.width === image.width) return pixels;
  throw new BallastError(
    'ERR_DATA',
    `Expected images of ${image.height} × ${image.width} in ${path} but image ${index} is ${pixels.height} × ` +
      `${pixels.width}, and preprocessor_config.json asks for no resizing.`,
  );
}

/** Bytes [height, width, channels] → floats [channels, height, width]. */
function normalize(
  { data }: Pixels,
  { channels, height, width }: ImageShape,
  { factor, mean, deviation }: Preprocessing,
  out: Float32Array,
): void {
  const area = height * width;
  for (let channel = 0; channel < channels; channel++) {
    const centre = mean[channel] ?? 0;
    const scale = deviation[channel] ?? 1;
    for (let i = 0; i < area; i++) {
      out[channel * area + i] = ((data[i * channels + channel] ?? 0) * factor - centre) / scale;
    }
  }
}
