// How experts are chosen and weighed, as far as an architecture of llama.cpp reads it, and what of it is fixed.

import type { Experts } from '../../models/experts.js';
import type { GgufArchitecture } from './architecture.js';
import { bool, float32, type Metadata, uint32 } from './metadata.js';
import { refused } from './refused.js';

/** llama.cpp's numbers. */
const scorings = { softmax: 1, sigmoid: 2 };

/** Error ERR_UNSUPPORTED for experts that the architecture would compute otherwise. */
export function expertMetadata({ name, experts }: GgufArchitecture, mixture: Experts): Metadata {
  if (experts === undefined) throw refused(`no experts in ${name}`, 'some');
  const { count, perToken, size, shared, sparse, scale, scoring, normalized, groups } = mixture;
  const dense = sparse.indexOf(true);
  if (dense < 0 || sparse.includes(false, dense)) {
    throw refused('experts in every block behind the first that has some', 'some without');
  }
  if (dense > 0 && !experts.afterDense) throw refused('experts in every block', 'some without');
  if (experts.needsShared && shared === undefined) {
    throw refused(`an expert that all tokens go through in ${name}`, 'none');
  }
  if (experts.normalized !== 'metadata' && experts.normalized !== normalized) {
    const expected = `norm_topk_prob ${experts.normalized}, as ${name} computes it,`;
    throw refused(expected, `${normalized}`);
  }
  if (experts.scoring !== 'metadata' && experts.scoring !== scoring) {
    throw refused(`scores by ${experts.scoring} in ${name}`, scoring);
  }
  if (!experts.scaled && scale !== 1) throw refused(`experts of scale 1 in ${name}`, `${scale}`);
  if (groups !== undefined && groups.best !== 2) {
    throw refused('groups of experts worth their two best', `their ${groups.best} best`);
  }
  const entries = {
    expert_count: uint32(count),
    expert_used_count: uint32(perToken),
    expert_feed_forward_length: uint32(size),
    expert_shared_count: uint32(shared === undefined ? 0 : Math.round(shared.size / size)),
    ...(shared && { expert_shared_feed_forward_length: uint32(shared.size) }),
    expert_gating_func: uint32(scorings[scoring]),
    expert_weights_norm: bool(normalized),
    expert_weights_scale: float32(scale),
    leading_dense_block_count: uint32(dense),
    interleave_moe_layer_step: uint32(1),
    ...(groups && {
      expert_group_count: uint32(groups.count),
      expert_group_used_count: uint32(groups.kept),
    }),
  };
  return Object.fromEntries(
    Object.entries(entries).map(([key, value]) => [`${name}.${key}`, value]),
  );
}
