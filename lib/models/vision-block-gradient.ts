// A vision transformer's block run backwards, for metrics that weigh an error by what it does to the loss: given the loss's
// gradient with respect to the block's output, those with respect to its input and to the output of every product in it.
// The forward pass is repeated here with the intermediate results that a gradient needs.

import type { Tensor } from '../device/index.js';
import type { BlockContext, BlockGradient, Linear } from './model.js';
import { layerNorm } from './norms.js';
import { arrange, attentionOptions, type VisionBlock } from './vision-block.js';
import type { Weights } from './weights.js';

export function blockGradient(
  block: VisionBlock,
  x: Tensor,
  weights: Weights,
  call: Linear,
  weightOf: (linear: string) => Tensor,
  gradient: Tensor,
  context: BlockContext,
): Required<BlockGradient> {
  const { names, norms, activation, eps, windows } = block;
  const { device } = context;
  const options = attentionOptions(block, weights, context);
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
  const h = arrange(device, layerNorm(device, x, weights, norms[0], eps), windows?.order);
  const [query, key, value] = [call(names.query, h), call(names.key, h), call(names.value, h)];
  const probabilities = device.softmax(device.headProduct(query, key, 'scores', options), options);
  const mixed = device.headProduct(probabilities, value, 'mix', unscaled);
  const y = call(names.output, arrange(device, mixed, windows?.places), { residual: x });
  const inner = call(names.first, layerNorm(device, y, weights, norms[1], eps));

  // 2. The MLP.
  const onInner = device.activationGradient(activation, inner, through(names.last, gradient));
  const onY = throughNorm(norms[1], y, through(names.first, onInner), gradient);

  // 3. Attention.
  const onMixed = arrange(device, through(names.output, onY), windows?.order);
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
    input: throughNorm(norms[0], x, arrange(device, onH, windows?.places), onY),
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
