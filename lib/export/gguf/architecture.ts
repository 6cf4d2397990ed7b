// What is to be known of one of llama.cpp's architectures to write a model for it: what it fixes, what it reads from metadata,
// and where its tensors depart from the usual names. Everything is data; a model that departs from what is fixed is refused.

import type { Activation } from '../../device/index.js';
import type { Config } from '../../models/model.js';
import type { Metadata } from './metadata.js';
import type { Outline } from './outline.js';

/** Constants of a model, of which an architecture reads or fixes each. */
export type ConstantName =
  | 'scale'
  | 'attentionCap'
  | 'logitCap'
  | 'embeddingScale'
  | 'residualScale'
  | 'logitScale';

/** Read from metadata under a key, the architecture's name aside, or computed of sizes. */
export type Constant =
  | { readonly key: string; readonly inverse?: true; readonly positive?: true }
  | ((outline: Outline) => number);

export interface GgufExperts {
  /** How scores become of logits, and whether those of the chosen are divided by their sum. */
  readonly scoring: 'softmax' | 'sigmoid' | 'metadata';
  readonly normalized: boolean | 'metadata';
  /** Whether it reads what weights are multiplied by. */
  readonly scaled?: true;
  /** Whether its first blocks may be without. */
  readonly afterDense?: true;
  /** Whether every block must have an expert that all tokens go through. */
  readonly needsShared?: true;
}

/** How a block turns: as all do, as those that slide do, or not at all. */
export type Turn = 'all' | 'local' | 'none';

export interface GgufArchitecture {
  /** The value of `general.architecture`, with which the names of sizes begin. */
  readonly name: string;
  /** Which channels of a head turn together: neighbours, or those half of them apart. */
  readonly pairs: 'neighbours' | 'halves';
  /** Default silu. */
  readonly activation?: Activation;
  /** Where the head's weights are: a tensor of their own even where they are the embedding's, or in the embedding alone. */
  readonly head?: 'own' | 'embedding';
  /** Whether it has as many heads of keys as of queries. */
  readonly noSharedKeys?: true;
  /** Whether heads must fill the hidden size. */
  readonly square?: true;
  /** Whether only a part of each head may turn. */
  readonly partialRotary?: true;
  /** Whether it slides in the blocks that metadata lists; a number: only where there are so many blocks. */
  readonly windows?: true | number;
  /** How blocks turn, given whether they slide and whether any does; default: all alike. */
  readonly turns?: (index: number, slides: boolean, anySlides: boolean) => Turn;
  /** What is a local turn's own: its base, or that it is not stretched. */
  readonly local?: 'base' | 'unstretched';
  /** Whether it reads what each pair's frequency is divided by: from one tensor, or from two, of which the size of its context chooses. */
  readonly rotaryFactors?: 'one' | 'short and long';
  /** Whether queries may grow with their position. */
  readonly queryScale?: true;
  /** Those that are not as usual. */
  readonly constants?: Readonly<Partial<Record<ConstantName, Constant>>>;
  readonly experts?: GgufExperts;
  /** Whether every linear must have a bias, of zeros where nothing is added. */
  readonly needsBiases?: true;
  /** The name of the norm before the MLP; default ffn_norm. */
  readonly mlpNorm?: 'post_attention_norm';
  /** Further metadata by keys, the architecture's name aside. */
  readonly metadata?: (outline: Outline, config: Config) => Metadata;
}
