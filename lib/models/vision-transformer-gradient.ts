// A vision transformer's block run backwards, for metrics that weigh an error by what it does to the loss: given the loss's
// gradient with respect to the block's output, those with respect to its input and to the output of every product in it.
// The forward pass is repeated here with the intermediate results that a gradient needs.

import type { Activation, Tensor } from '../device/index.js';
import type { BlockContext, BlockGradient, Linear } from './model.js';
import { layerNorm } from './norms.js';
import type { Weights } from './weights.js';

export interface VisionBlock {
  readonly names: Readonly<Record<'query' | 'key' | 'value' | 'output' | 'first' | 'last', string>>;
  readonly norms: readonly [attention: string, mlp: string];
  readonly heads: number;
  readonly headSize: number;
  readonly activation: Activation;
  readonly eps: number;
}

export function blockGradient(
  block: VisionBlock,
  x: Tensor,
  weights: Weights,
  call: Linear,
  weightOf: (linear: string) => Tensor,
  gradient: Tensor,
  { device, sequence }: BlockContext,
): BlockGradient {
  const { names, norms, heads, headSize, activation, eps } = block;
  const options = { sequence, heads, scale: headSize ** -0.5, causal: false };
  const unscaled = { ...options, scale: 1 };
  /** Through y = x Wᵀ. */
  const through = (linear: string, outer: Tensor, residual?: Tensor) =>
    device.matmul(outer, weightOf(linear), { layout: 'in_out', residual });
  const throughNorm = (name: string, input: Tensor, outer: Tensor, residual: Tensor) =>
    device.add(
      residual,
      device.layerNormGradient(input, weights.find(`${name}.weight`), outer, eps),
    );

  // 1. Forward, up to what the MLP's last linear reads.
  const h = layerNorm(device, x, weights, norms[0], eps);
  const [query, key, value] = [call(names.query, h), call(names.key, h), call(names.value, h)];
  const probabilities = device.softmax(device.headProduct(query, key, 'scores', options), options);
  const mixed = device.headProduct(probabilities, value, 'mix', unscaled);
  const y = call(names.output, mixed, { residual: x });
  const inner = call(names.first, layerNorm(device, y, weights, norms[1], eps));

  // 2. The MLP.
  const onInner = device.activationGradient(activation, inner, through(names.last, gradient));
  const onY = throughNorm(norms[1], y, through(names.first, onInner), gradient);

  // 3. Attention.
  const onMixed = through(names.output, onY);
  const onProbabilities = device.headProduct(onMixed, value, 'scores', unscaled);
  const onScores = device.softmaxGradient(probabilities, onProbabilities);
  const onQuery = device.headProduct(onScores, key, 'mix', options);
  const onKey = device.headProduct(onScores, query, 'spread', options);
  const onValue = device.headProduct(probabilities, onMixed, 'spread', unscaled);
  const onH = [onKey, onValue].reduce(
    (sum, outer, i) => through(i === 0 ? names.key : names.value, outer, sum),
    through(names.query, onQuery),
  );
  return {
    input: throughNorm(norms[0], x, onH, onY),
    linears: new Map([
      [names.query, onQuery],
      [names.key, onKey],
      [names.value, onValue],
      [names.output, onY],
      [names.first, onInner],
      [names.last, gradient],
    ]),
    scores: onScores,
    mixed: onMixed,
  };
}
