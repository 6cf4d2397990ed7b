// Learned tokens (class, distillation) before the patches of each image: how they join them, and how classifiers read them
// and pass gradients back. Everything that joins tokens is exact: products with 0 and 1.

import type { Device, Tensor } from '../device/index.js';
import { unfold } from './image-patches.js';
import type { BlockContext, VisionModel } from './model.js';
import { layerNorm } from './norms.js';
import type { VisionTransformer } from './vision-transformer.js';
import type { Weights } from './weights.js';

/** [sequence, width] that is `row` [width] in some rows and 0 in the others, added to `residual`. */
function addToRows(
  device: Device,
  sequence: number,
  chosen: (row: number) => boolean,
  row: Tensor,
  residual?: Tensor,
): Tensor {
  const flags = Float32Array.from({ length: sequence }, (_, i) => (chosen(i) ? 1 : 0));
  const column = device.upload('float32', [sequence, 1], flags);
  const matrix = device.reshape(row, [1, row.elements]);
  return device.matmul(column, matrix, { layout: 'in_out', residual });
}

export function embedOf(vision: VisionTransformer, sequence: number): VisionModel['embed'] {
  const { hiddenSize, image, patch, tokens, root } = vision;
  const embeddings = `${root}.embeddings`;
  const first = tokens.length;
  return (pixels: Tensor, weights: Weights, { device }: BlockContext) => {
    const patches = unfold(device, pixels, image, patch);
    const projection = weights.get(`${embeddings}.patch_embeddings.projection.weight`);
    const kernel = device.reshape(projection, [hiddenSize, patches.cols]);
    const embedded = device.matmul(patches, kernel);
    // 1. Make room for the learned tokens before each image's patches.
    const perImage = sequence - first;
    const index = Int32Array.from({ length: (patches.rows / perImage) * sequence }, (_, row) => {
      const token = row % sequence;
      return Math.floor(row / sequence) * perImage + Math.max(0, token - first);
    });
    const width = sequence * hiddenSize;
    const spread = device.selectRows(embedded, device.upload('int32', [index.length], index));
    const rows = device.reshape(spread, [index.length / sequence, width]);
    const ones = device.upload('float32', [hiddenSize], new Float32Array(hiddenSize).fill(1));
    const isPatch = (token: number) => token >= first;
    const mask = addToRows(device, sequence, isPatch, ones);
    // 2. What is added to every image: positions, the patches' bias, the learned tokens.
    const positions = weights.get(`${embeddings}.position_embeddings`);
    const bias = weights.get(`${embeddings}.patch_embeddings.projection.bias`);
    let constant = device.reshape(positions, [sequence, hiddenSize]);
    constant = addToRows(device, sequence, isPatch, bias, constant);
    for (const [i, name] of tokens.entries()) {
      const token = weights.get(`${embeddings}.${name}`);
      constant = addToRows(device, sequence, (row) => row === i, token, constant);
    }
    const masked = device.multiply(rows, device.reshape(mask, [width]));
    const x = device.add(masked, device.reshape(constant, [width]));
    return device.reshape(x, [index.length, hiddenSize]);
  };
}

/** The tokens that classifiers read, all images' for the first classifier, then all for the next. */
export function finalStatesOf(
  vision: VisionTransformer,
  sequence: number,
): VisionModel['finalStates'] {
  const { root, eps, classifiers } = vision;
  return (x, weights, { device }) => {
    const images = x.rows / sequence;
    const rows = Int32Array.from(
      classifiers.flatMap(({ token }) =>
        Array.from({ length: images }, (_, i) => i * sequence + token),
      ),
    );
    const chosen = device.selectRows(x, device.upload('int32', [rows.length], rows));
    return layerNorm(device, chosen, weights, `${root}.layernorm`, eps);
  };
}

export function headOf(vision: VisionTransformer, sequence: number): VisionModel['head'] {
  const { classifiers } = vision;
  const finalStates = finalStatesOf(vision, sequence);
  return (x: Tensor, weights: Weights, context: BlockContext) => {
    const { device } = context;
    const images = x.rows / sequence;
    const states = finalStates(x, weights, context);
    const sum = classifiers
      .map(({ name }, i) =>
        device.matmul(
          device.sliceRows(states, i * images, (i + 1) * images),
          weights.get(`${name}.weight`),
          { bias: weights.get(`${name}.bias`) },
        ),
      )
      .reduce((a, b) => device.add(a, b));
    return classifiers.length === 1 ? sum : device.scale(sum, 1 / classifiers.length);
  };
}

/** Through the classifiers and the final norm to the tokens that they read; 0 at all others. */
export function headGradientOf(
  vision: VisionTransformer,
  sequence: number,
): VisionModel['headGradient'] {
  const { root, eps, classifiers, hiddenSize } = vision;
  return (x, weights, gradient, { device }) => {
    const images = x.rows / sequence;
    const norm = weights.get(`${root}.layernorm.weight`);
    const width = sequence * hiddenSize;
    const ones = device.upload('float32', [hiddenSize], new Float32Array(hiddenSize).fill(1));
    const parts = classifiers.map(({ name, token }) => {
      const rows = Int32Array.from({ length: images }, (_, i) => i * sequence + token);
      const chosen = device.selectRows(x, device.upload('int32', [images], rows));
      const share = device.scale(gradient, 1 / classifiers.length);
      const outer = device.matmul(share, weights.get(`${name}.weight`), { layout: 'in_out' });
      const onChosen = device.layerNormGradient(chosen, norm, outer, eps);
      const spread = Int32Array.from({ length: x.rows }, (_, row) => Math.floor(row / sequence));
      const all = device.selectRows(onChosen, device.upload('int32', [x.rows], spread));
      const mask = addToRows(device, sequence, (row) => row === token, ones);
      const masked = device.multiply(
        device.reshape(all, [images, width]),
        device.reshape(mask, [width]),
      );
      return device.reshape(masked, [x.rows, hiddenSize]);
    });
    return parts.reduce((sum, part) => device.add(sum, part));
  };
}
