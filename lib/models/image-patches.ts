// An image cut into square patches, one row of pixels each: a gather of columns, after which the convolution that turns
// patches into tokens is a product.

import type { Device, Tensor } from '../device/index.js';
import type { ImageShape } from './model.js';

/** The columns of an image's row of pixels [channels, height, width], patch after patch. */
function patchColumns({ channels, height, width }: ImageShape, patch: number): Int32Array {
  const columns = new Int32Array(channels * height * width);
  let at = 0;
  for (let top = 0; top < height; top += patch) {
    for (let left = 0; left < width; left += patch) {
      for (let channel = 0; channel < channels; channel++) {
        for (let y = top; y < top + patch; y++) {
          for (let x = left; x < left + patch; x++) {
            columns[at++] = (channel * height + y) * width + x;
          }
        }
      }
    }
  }
  return columns;
}

/** pixels [images, channels·height·width] → patches [images·patches, channels·patch²]. */
export function unfold(device: Device, pixels: Tensor, image: ImageShape, patch: number): Tensor {
  const size = image.channels * image.height * image.width;
  const rows = device.reshape(pixels, [pixels.elements / size, size]);
  const columns = device.upload('int32', [size], patchColumns(image, patch));
  const width = image.channels * patch * patch;
  const patches = device.selectColumns(rows, columns);
  return device.reshape(patches, [pixels.elements / width, width]);
}
