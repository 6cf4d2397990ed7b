// A classifier of the mean of an image's normed tokens, and its gradient. The mean is a product with a matrix of 1/tokens
// and 0: mini-batches of images are few.

import type { Device, Tensor } from '../device/index.js';
import type { VisionModel } from './model.js';
import { layerNorm } from './norms.js';

interface PooledHead {
  /** Full names of the norm and of the linear. */
  readonly norm: string;
  readonly classifier: string;
  /** Of an image. */
  readonly tokens: number;
  readonly eps: number;
}

/** [images, images·tokens], or its transpose. */
function averaging(device: Device, images: number, tokens: number, transposed: boolean): Tensor {
  const rows = images * tokens;
  const values = new Float32Array(images * rows);
  for (let row = 0; row < rows; row++) {
    const image = Math.floor(row / tokens);
    values[transposed ? row * images + image : image * rows + row] = 1 / tokens;
  }
  return device.upload('float32', transposed ? [rows, images] : [images, rows], values);
}

export function pooledStates({ norm, tokens, eps }: PooledHead): VisionModel['finalStates'] {
  return (x, weights, { device }) => {
    const h = layerNorm(device, x, weights, norm, eps);
    const mean = averaging(device, x.rows / tokens, tokens, false);
    return device.matmul(mean, h, { layout: 'in_out' });
  };
}

export function pooledHead(head: PooledHead): VisionModel['head'] {
  const finalStates = pooledStates(head);
  return (x, weights, context) => {
    const pooled = finalStates(x, weights, context);
    const bias = weights.get(`${head.classifier}.bias`);
    return context.device.matmul(pooled, weights.get(`${head.classifier}.weight`), { bias });
  };
}

export function pooledHeadGradient(head: PooledHead): VisionModel['headGradient'] {
  const { norm, classifier, tokens, eps } = head;
  return (x, weights, gradient, { device }) => {
    const weight = weights.get(`${classifier}.weight`);
    const onPooled = device.matmul(gradient, weight, { layout: 'in_out' });
    const spread = averaging(device, x.rows / tokens, tokens, true);
    const onNormed = device.matmul(spread, onPooled, { layout: 'in_out' });
    return device.layerNormGradient(x, weights.get(`${norm}.weight`), onNormed, eps);
  };
}
