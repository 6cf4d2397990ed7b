// The linears and norms of a block of a vision transformer by the names that transformers saves them under, which differ
// between architectures in what attention is called, and where the biases of a block's sites fold into.

import { linear, linearSlot } from './linear-bias.js';
import type { VisionBlock } from './vision-block.js';

/** `attention`: what the names of the projections that attention reads begin with. */
export function visionNames(attention: string): VisionBlock['names'] {
  return {
    query: `${attention}.query`,
    key: `${attention}.key`,
    value: `${attention}.value`,
    output: 'attention.output.dense',
    first: 'intermediate.dense',
    last: 'output.dense',
  };
}

export const visionNorms = ['layernorm_before', 'layernorm_after'] as const;

/** Of a block of `width` channels whose MLP has `inner`. */
export function visionLinears(
  names: VisionBlock['names'],
  width: number,
  inner: number,
  qkvBias: boolean,
) {
  const ofInputs = { bias: qkvBias };
  const linears = [
    linear(names.query, width, width, ofInputs),
    linear(names.key, width, width, ofInputs),
    linear(names.value, width, width, ofInputs),
    linear(names.output, width, width),
    linear(names.first, width, inner),
    linear(names.last, inner, width),
  ];
  return {
    linears,
    slots: {
      attention: linearSlot(linears, names.output),
      mlp: linearSlot(linears, names.last),
      block: linearSlot(linears, names.last),
    },
  };
}
