// What a caller may ask of a quantization, and its defaults, which live here and nowhere else.

import type { Client } from '../../clients.js';
import type { DeviceNames } from '../../device/index.js';
import { defaultQuantizer } from '../../quantizers/index.js';
import { sharedDefaults } from '../../shared-defaults.js';
import { type ActivationOptions, activationDefaults } from './activation-options.js';

export type CompensationGranularity = 'none' | 'channel' | 'position';
export type Site = 'linear' | 'matmul' | 'attention' | 'mlp' | 'block' | 'model';
export type Propagate = 'float' | 'quantized';

export interface QuantizeOptions extends ActivationOptions {
  /** Directory that receives the result; must not exist or be empty, unless `overwrite`. */
  readonly output: string;
  /** Calibration text: .txt, .jsonl or .parquet. Of an image classifier images: a directory, list file or .safetensors. */
  readonly calibration: string;
  /** Field of JSONL or column of parquet, or a path with dots to it; default 'text'. */
  readonly field?: string;
  /** Calibration samples; default 128. */
  readonly samples?: number;
  /** Tokens per sample; default 2048 or what the model supports. */
  readonly sequenceLength?: number;
  /** 'sequential' takes consecutive windows from the start; 'random' draws their starts. Default 'random'. */
  readonly sampling?: 'sequential' | 'random';
  /** Seed of everything random; default 0. */
  readonly seed?: number;

  /** Name of a registered quantizer; the registry says which is the default. */
  readonly method?: string;
  /** Bits per weight, 2 to 8; default 4. */
  readonly bits?: number;
  /** Input channels that share a scale; 0 (default) for one scale per output channel. */
  readonly groupSize?: number;
  /** Fixed zero point in the middle of the codes; default false. */
  readonly symmetric?: boolean;
  /** 'mse' searches the clipping range; default 'none', unless the method says otherwise. */
  readonly clip?: 'none' | 'mse';
  /**
   * How each output channel's range of a weight is searched, for methods that take scales found before: by what changes
   * the linear's output least, in angle ('cosine') or weighed by the loss's gradients ('hessian', image classifiers
   * only), in turns with a search for activation ranges if there is one. Default 'none'.
   */
  readonly weightSearch?: 'none' | 'cosine' | 'hessian';
  /** What scales are rounded to; default 'float32'. */
  readonly scaleDtype?: 'float32' | 'float16' | 'bfloat16';
  /**
   * Grids of super-blocks, as llama.cpp's types Q2_K … Q6_K have them: 256 input channels share two float16 numbers, of which
   * scales and offsets of groups of 16 or 32 are small multiples. 2 to 6 bits, which say the group size, and whether grids are
   * symmetric (3 and 6 bits). For input channels that 256 divides. Default false; with format gguf and 2, 3 or 6 bits true.
   */
  readonly superBlocks?: boolean;
  /**
   * Share of the mean diagonal added to a moment before anything is fitted to it; default 0.01, unless the method
   * says otherwise. Of experts at least 0.3 for each channel per token that came to them.
   */
  readonly damping?: number;
  /** Sweep columns in order of decreasing moment; default false. */
  readonly actOrder?: boolean;
  /** With actOrder: groups are runs of the original columns; default false. */
  readonly staticGroups?: boolean;
  /** Rounds of coordinate descent at most, of methods that end with it; default 3. */
  readonly rounds?: number;
  /** Order in which descent goes through the columns; default 'cyclic', unless the method says otherwise. */
  readonly order?: 'cyclic' | 'greedy';
  /**
   * 'scales' moves each scale to where the layer's error is least, the codes being found (rtn, gptq). Default 'none', but
   * 'scales' for gptq with a joint fit: all that is linear then follows from one objective.
   */
  readonly refit?: 'none' | 'scales';

  /** Granularity of the bias; default 'channel'. */
  readonly compensation?: CompensationGranularity;
  /** Which outputs are compensated; default ['linear']. */
  readonly sites?: readonly Site[];
  /**
   * 'joint' quantizes against the centred covariance, knowing that a bias will take the mean; 'sequential' against the
   * second moment, as without a bias. Default 'joint'; without compensation always 'sequential'.
   */
  readonly fit?: 'joint' | 'sequential';
  /** Which path's inputs errors and biases are measured on; default 'quantized'. */
  readonly propagate?: Propagate;
  /**
   * What a quantized linear shall reproduce: what its own float weight makes of the same inputs ('layer'), or what the
   * float path's linear makes of the float path's inputs ('float'; with propagate 'quantized' only). Default 'layer'.
   */
  readonly target?: 'layer' | 'float';
  /** Take a linear's statistics after the linears before it in the block were quantized; default true. */
  readonly trueSequential?: boolean;
  /**
   * Samples that second moments are taken of at least, for a method that reads none itself; default all. Moments are most of
   * what such a run costs beyond running the model, and only tell errors: these are then as large as those samples say.
   */
  readonly certificateSamples?: number;
  /** Held-out samples that judge each bias, as a share of `samples`; 0 keeps every bias. Default 1/8. */
  readonly heldOut?: number;
  /** k of the shrinkage b·n/(n + k), n the observations that a bias is a mean of; default 0. */
  readonly shrinkage?: number;

  /** What the result is written as; default 'huggingface'. A format may bring defaults of its own for the grid. */
  readonly format?: string;
  /** What will load the result; biases that it would not read are not fitted. Default: the format's first client. */
  readonly client?: Client;
  /**
   * The model type that the result is written as, where that computes exactly the same; others have biases in more
   * linears. Default: the source's.
   */
  readonly architecture?: string;

  /**
   * A name of `listDevices`, 'cuda' for every GPU, or a list of names, which share the samples; the first quantizes.
   * Default 'cpu'.
   */
  readonly device?: DeviceNames;
  /** Compute threads of a CPU device; default one per processor. */
  readonly threads?: number;
  /** How matrix products are formed; default 'float32'. */
  readonly precision?: 'float32' | 'bfloat16';
  /**
   * Bytes that each device may hold beyond what `planMemory` counts, so that what the last linear of an MLP reads is not
   * computed twice, and as many experts are observed in a pass as fit. Results are the same. Default: half of the memory that is free on the host as the run begins, seven eighths
   * on a GPU, less the plan.
   */
  readonly spareBytes?: number;
  /** Replace an existing result; default false. */
  readonly overwrite?: boolean;
  /** Bytes of a weight file at most; default 5 GB. */
  readonly maxShardBytes?: number;
  /** Bits of embedding and head in a GGUF file: 16 (default), or 8, as llama.cpp's Q8_0. */
  readonly embeddingBits?: number;
  /** Hub access token, for a hub id. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** Every option with its value; what a report records. */
export type ResolvedOptions = Required<
  Omit<QuantizeOptions, 'signal' | 'token' | OptionWithoutDefault>
> &
  Pick<QuantizeOptions, OptionWithoutDefault>;

type OptionWithoutDefault =
  | 'sequenceLength'
  | 'certificateSamples'
  | 'threads'
  | 'spareBytes'
  | 'client'
  | 'architecture';

export const defaults = {
  field: sharedDefaults.field,
  samples: 128,
  sampling: 'random',
  seed: 0,
  method: defaultQuantizer.name,
  bits: 4,
  groupSize: 0,
  symmetric: false,
  clip: 'none',
  weightSearch: 'none',
  scaleDtype: 'float32',
  superBlocks: false,
  damping: 0.01,
  actOrder: false,
  staticGroups: false,
  rounds: 3,
  order: 'cyclic',
  refit: 'none',
  ...activationDefaults,
  compensation: 'channel',
  sites: ['linear'],
  fit: 'joint',
  propagate: 'quantized',
  target: 'layer',
  trueSequential: true,
  heldOut: 1 / 8,
  shrinkage: 0,
  format: 'huggingface',
  device: 'cpu',
  precision: 'float32',
  overwrite: false,
  maxShardBytes: sharedDefaults.maxShardBytes,
  embeddingBits: sharedDefaults.embeddingBits,
} as const satisfies Partial<QuantizeOptions>;

/** Of `search`, which finds the sites. */
export type SearchOptions = Omit<QuantizeOptions, 'sites'>;

/** Those of a search: to choose among dozens of combinations takes more held-out samples than to judge one bias. */
export const searchDefaults = { ...defaults, heldOut: 1 / 2 } as const;
