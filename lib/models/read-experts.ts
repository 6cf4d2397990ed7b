// The fields of config.json that say how a decoder's experts are, where several architectures have the same.

import type { ExpertGroups } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { ConfigReader } from './config-reader.js';
import { type Experts, usualNames } from './experts.js';
import type { GatedDecoder } from './gated-decoder.js';

/** Fields of config.json, and what they are where they are absent. */
interface ExpertFields {
  readonly count: readonly [field: string, fallback?: number | undefined];
  readonly perToken: readonly [field: string, fallback?: number | undefined];
}

/** What is read here, or the same in most architectures. */
type Usual = 'sparse' | 'count' | 'perToken' | 'activation' | 'scale' | 'names';

/** Experts in all blocks, unless `own` says otherwise. */
export function readExperts(
  reader: ConfigReader,
  { blocks, activation }: Pick<GatedDecoder, 'blocks' | 'activation'>,
  fields: ExpertFields,
  own: Omit<Experts, Usual> & Partial<Experts>,
): Experts {
  const count = reader.count(...fields.count);
  const perToken = reader.count(...fields.perToken);
  if (perToken > count) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${fields.perToken[0]} to be at most ${fields.count[0]} in config.json but received ${perToken} and ${count}.`,
    );
  }
  return {
    sparse: new Array<boolean>(blocks).fill(true),
    count,
    perToken,
    activation,
    scale: 1,
    names: usualNames,
    ...own,
  };
}

/** Of Qwen and OLMoE: a softmax chooses, over whose own sum the chosen are divided where a field says so. */
export function readSoftmaxExperts(
  reader: ConfigReader,
  decoder: GatedDecoder,
  defaults: { readonly count: number; readonly perToken: number },
  own: Pick<Experts, 'size'> & Partial<Experts>,
): Experts {
  const fields: ExpertFields = {
    count: [reader.alias('num_experts', 'num_local_experts'), defaults.count],
    perToken: ['num_experts_per_tok', defaults.perToken],
  };
  return readExperts(reader, decoder, fields, {
    router: { weight: 'mlp.gate.weight' },
    scoring: 'softmax',
    normalized: reader.boolean('norm_topk_prob', false),
    ...own,
  });
}

/** Of Qwen where all tokens go through one more expert, weighed by a gate of its own; sizes where they are absent. */
export function readSharedQwenExperts(
  reader: ConfigReader,
  decoder: GatedDecoder,
  {
    count,
    perToken,
    size,
    sharedSize,
    ...own
  }: {
    readonly count: number;
    readonly perToken: number;
    readonly size: number;
    readonly sharedSize: number;
  } & Partial<Experts>,
): Experts {
  return readSoftmaxExperts(
    reader,
    decoder,
    { count, perToken },
    {
      size: reader.count('moe_intermediate_size', size),
      shared: {
        name: 'mlp.shared_expert',
        size: reader.count('shared_expert_intermediate_size', sharedSize),
        gate: 'mlp.shared_expert_gate.weight',
      },
      ...own,
    },
  );
}

/** Of Qwen: every so many blocks from the first such on, but for those that a list names. */
export function readSparseSteps(reader: ConfigReader, blocks: number): boolean[] {
  const step = reader.count('decoder_sparse_step', 1);
  const dense = reader.has('mlp_only_layers') ? reader.indices('mlp_only_layers', blocks) : [];
  return Array.from(
    { length: blocks },
    (_, index) => (index + 1) % step === 0 && !dense.includes(index),
  );
}

/** So many as one MLP, which is how checkpoints hold them; undefined for none. */
export function sharedExperts(count: number, size: number): Experts['shared'] {
  return count === 0 ? undefined : { name: 'mlp.shared_experts', size: count * size };
}

/** What a class of small experts after dense blocks has where config.json lacks it. */
interface SmallExperts {
  readonly count?: number;
  readonly perToken?: number;
  readonly size?: number;
  readonly shared?: number;
  readonly dense: number;
  readonly scale?: number;
}

/** Of DeepSeek and those that follow it (arXiv 2401.06066): many small experts, and shared ones besides, after dense blocks. */
export function readSmallExperts(
  reader: ConfigReader,
  decoder: GatedDecoder,
  defaults: SmallExperts,
  own: Pick<Experts, 'router' | 'scoring' | 'normalized'>,
): Experts {
  const fields: ExpertFields = {
    count: [reader.alias('n_routed_experts', 'num_local_experts', 'num_experts'), defaults.count],
    perToken: ['num_experts_per_tok', defaults.perToken],
  };
  const dense = reader.countOrNone('first_k_dense_replace', defaults.dense);
  const size = reader.count('moe_intermediate_size', defaults.size ?? 1408);
  const shared = reader.countOrNone('n_shared_experts', defaults.shared);
  return readExperts(reader, decoder, fields, {
    sparse: Array.from({ length: decoder.blocks }, (_, index) => index >= dense),
    size,
    scale: reader.positive('routed_scaling_factor', defaults.scale ?? 1),
    shared: sharedExperts(shared, size),
    ...own,
  });
}

/**
 * Of DeepSeek-V3 and those that follow it (arXiv 2412.19437, section 2.1.2): scores are sigmoids, a bias that balances the
 * experts' load counts where they are chosen and not where they are weighed; groups are worth their two best.
 */
export function readBalancedExperts(
  reader: ConfigReader,
  decoder: GatedDecoder,
  defaults: SmallExperts & { readonly normalized: boolean; readonly groups?: GroupCounts },
): Experts {
  const experts = readSmallExperts(reader, decoder, defaults, {
    router: { weight: 'mlp.gate.weight', bias: 'mlp.gate.e_score_correction_bias' },
    scoring: 'sigmoid',
    normalized: reader.boolean('norm_topk_prob', defaults.normalized),
  });
  const groups = defaults.groups ?? { count: 1, kept: 1 };
  return { ...experts, groups: readGroups(reader, experts, 2, groups) };
}

/** What such configurations say of it, where they do, though no class of transformers reads it. */
export function expectBalanced(reader: ConfigReader): void {
  reader.only('scoring_func', 'sigmoid');
  reader.only('topk_method', 'noaux_tc');
  reader.only('moe_layer_freq', 1);
}

type GroupCounts = Pick<ExpertGroups, 'count' | 'kept'>;

/** The groups that experts are chosen by, worth their `best`; undefined where all are kept. */
export function readGroups(
  reader: ConfigReader,
  { count, perToken }: Experts,
  best: number,
  defaults?: GroupCounts,
): ExpertGroups | undefined {
  const groups = reader.count('n_group', defaults?.count);
  const kept = reader.count('topk_group', defaults?.kept);
  const size = count / groups;
  const many = Number.isInteger(size) && size >= best && kept <= groups && perToken <= kept * size;
  if (!many) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected n_group to part ${count} experts into equal groups of ${best} at least, and topk_group to be at most n_group and ` +
        `leave num_experts_per_tok, ${perToken}, to choose, in config.json but received ${groups} and ${kept}.`,
    );
  }
  if (kept === groups) return undefined;
  if (groups > mostGroups) throw reader.unsupported('n_group', `at most ${mostGroups}`);
  return { count: groups, kept, best };
}

/** As many as `chooseExperts` takes. */
const mostGroups = 64;
