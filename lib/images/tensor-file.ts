// Images that are decoded already, in one safetensors file: `images` uint8 [n, height, width, channels] and `labels`
// int64 [n]. Made for tests and for data sets of small images; needs no decoder unless sizes differ.

import { open } from 'node:fs/promises';
import { ioError } from '../checkpoint/io-error.js';
import { expectFully } from '../checkpoint/read-fully.js';
import { readHeader } from '../checkpoint/safetensors-header.js';
import type { TensorInfo } from '../checkpoint/tensor-info.js';
import { BallastError } from '../errors.js';
import type { VisionModel } from '../models/index.js';
import { resizePixels } from './decode.js';
import type { ImageSource } from './image-set.js';
import type { Preprocessing } from './preprocessing.js';

export async function openTensorFile(
  path: string,
  preprocessing: Preprocessing,
  { image, classes }: VisionModel,
): Promise<ImageSource> {
  const { tensors } = await readHeader(path);
  const images = expectTensor(path, tensors, 'images', 'uint8', 4);
  const [count = 0, height = 0, width = 0, channels = 0] = images.shape;
  const labels = expectTensor(path, tensors, 'labels', 'int64', 1);
  if (channels !== image.channels) {
    throw data(path, `${image.channels} channels as the model reads`, `${channels}`);
  }
  if (labels.shape[0] !== count) {
    throw data(path, `a label for each of ${count} images`, `${labels.shape[0]}`);
  }
  if (count === 0) throw data(path, 'at least one image', 'none');
  const handle = await open(path).catch((error: unknown) => {
    throw ioError(error, 'opening images', path);
  });
  const read = async (offset: number, bytes: number) => {
    const buffer = new Uint8Array(bytes);
    await expectFully(handle, buffer, offset).catch((error: unknown) => {
      throw ioError(error, 'reading images', path);
    });
    return buffer;
  };
  try {
    const stored = new BigInt64Array((await read(labels.offset, labels.bytes)).buffer);
    const wrong = stored.find((label) => label < 0n || label >= BigInt(classes));
    if (wrong !== undefined) {
      throw data(path, `labels from 0 to ${classes - 1}, the model's classes`, `${wrong}`);
    }
    const bytes = height * width * channels;
    const same = height === image.height && width === image.width;
    return {
      labels: Int32Array.from(stored, Number),
      async read(index) {
        const pixels = { data: await read(images.offset + index * bytes, bytes), height, width };
        return same || channels !== 3 ? pixels : resizePixels(pixels, preprocessing);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function expectTensor(
  path: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  name: string,
  dtype: string,
  rank: number,
): TensorInfo {
  const info = tensors.get(name);
  const expected = `tensor '${name}', ${dtype} of ${rank} ${rank === 1 ? 'axis' : 'axes'},`;
  if (info === undefined) throw data(path, expected, 'none of that name');
  if (info.dtype !== dtype || info.shape.length !== rank) {
    throw data(path, expected, `${info.dtype} [${info.shape.join(', ')}]`);
  }
  return info;
}

function data(path: string, expected: string, received: string): BallastError {
  return new BallastError('ERR_DATA', `Expected ${expected} in ${path} but received ${received}.`);
}
