// What a model is to the rest of the library: data (sizes, tensor names) and three pure functions. A block
// never multiplies by a linear's weight itself, it calls `linear(name, x)`; who passes `linear` decides
// whether that is plain execution, observation, or quantized execution. Linears that are called with the
// same tensor form an input group.

import type { TensorPart } from '../checkpoint/checkpoint.js';
import type { Client } from '../clients.js';
import type {
  Activation,
  AttentionOptions,
  Device,
  OperandType,
  Tensor,
  WeightLayout,
} from '../device/index.js';
import type { GatedDecoder } from './gated-decoder.js';
import type { LayerNormDecoder } from './layer-norm-decoder.js';
import type { Routes } from './routes.js';
import type { Weights } from './weights.js';

/** The content of config.json. */
export type Config = Readonly<Record<string, unknown>>;

/** One linear of a block. Tensors are `<block>.<name>.weight` and, with a bias, `<block>.<name>.bias`. */
export interface LinearSpec {
  /** Name inside the block, such as 'self_attn.q_proj'. */
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Whether the checkpoint holds a bias. */
  readonly bias: boolean;
  /** Whether one may be added: clients read it once the model's `biasFields` stand in config.json. */
  readonly biasByConfig?: boolean;
  /** Whether results hold zeros where the checkpoint holds no bias: their config.json announces one. */
  readonly zeroBias?: boolean;
  /** How the checkpoint stores the weight; default 'out_in'. */
  readonly layout?: WeightLayout;
  /** Linears with the same word here read nothing of each other, though their inputs differ: experts stand side by side. */
  readonly stage?: string;
  /** The expert that it belongs to, by its name inside the block. */
  readonly expert?: string;
  /** Whether a router chooses the tokens that it reads. */
  readonly routed?: true;
}

/** y = activation(x Wᵀ + bias) + residual, by whoever executes the block; `dtype` where linears alone read y. */
export type Linear = (
  name: string,
  x: Tensor,
  options?: {
    readonly activation?: Activation;
    readonly residual?: Tensor;
    readonly dtype?: OperandType | undefined;
  },
) => Tensor;

/** Attention over queries, keys and values, by whoever executes the block. */
export type Attend = (
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions,
) => Tensor;

/** Points that a block can be resumed at, in the order in which it comes to them; see hold.ts. */
export type HoldPoint = 'attended' | 'middle' | InnerPoint;

/** What the MLP's last linear reads, or that of one of its experts. */
export type InnerPoint = 'inner' | `inner of ${string}`;

/** What a block has at a point: held from a run before, or computed now. Nothing before the point is run otherwise. */
export type Hold = (point: HoldPoint, compute: () => Tensor) => Tensor;

/** Which experts the tokens of a mini-batch go to; `choose` gives what the block's own router says, [tokens, k] int32. */
export type Route = (choose: () => Tensor) => Routes;

/** What a pass over a block knows of its mini-batch. */
export interface BatchContext {
  /** Where a block need not be run from its beginning. Blocks call it by `hold`. */
  readonly hold?: Hold | undefined;
  /** A block with experts is not run without; see routes.ts. */
  readonly route?: Route | undefined;
  /** Experts that are run, by their names inside the block; default all. Without the others what the MLP gives is of no use. */
  readonly experts?: ReadonlySet<string> | undefined;
}

export interface BlockContext extends BatchContext {
  readonly device: Device;
  /** Where attention's products are not plain: observed, or of quantized operands. Blocks call it by `attend`. */
  readonly attend?: Attend | undefined;
  /** What blocks make for linears alone to read; default 'float32'. Whatever else they make is float32. */
  readonly operands?: OperandType | undefined;
  /** Tokens per sequence; rows of hidden states are whole sequences. */
  readonly sequence: number;
}

/** Where a per-channel constant on a site's output can be folded exactly. */
export type FoldSlot =
  | { readonly kind: 'linear'; readonly linear: string }
  | { readonly kind: 'norm'; readonly tensor: string }
  | { readonly kind: 'none'; readonly reason: string };

/** Of an MLP of experts: how many there are, and how many of them a token goes to. */
export interface ExpertCounts {
  readonly count: number;
  readonly perToken: number;
}

/** What one block holds. */
export interface BlockShape {
  /** Channels of its output. */
  readonly hiddenSize: number;
  /** Tokens of a sample inside the block; absent where that is the length of the sequence, whatever it is. */
  readonly sequence?: number;
  /** In order of execution. */
  readonly linears: readonly LinearSpec[];
  /** Where the MLP is experts; such a block is run with routes. */
  readonly experts?: ExpertCounts;
  /** Names, inside the block, of the tensors that are not linears (norms). */
  readonly blockTensors: readonly string[];
  /** Shapes of those whose size nothing checks where they are read. */
  readonly tensorShapes?: Readonly<Record<string, readonly number[]>>;
  /** Where a constant on the output of attention, MLP and block folds; what the block has not is absent. */
  readonly slots: Readonly<Partial<Record<'attention' | 'mlp' | 'block', FoldSlot>>>;
}

/** What every model is: a stack of blocks between `embed` and `head`. Hidden states are [tokens, hiddenSize] float32. */
export interface BlockModel extends BlockShape {
  /** That of the architecture, whose class clients have; `model_type` of config.json may be another name of it. */
  readonly modelType: string;
  readonly blocks: number;
  /**
   * Where blocks differ, the shape of each: see `shapeOf`. The model's own are then the last hidden size, the tokens of
   * `embed`, and the slots and, each name once, the linears and tensors that occur in blocks.
   */
  readonly shapes?: readonly BlockShape[];
  /** Full names of the tensors that `embed` and `head` read. */
  readonly embedTensors: readonly string[];
  readonly headTensors: readonly string[];
  /** Their shapes, as config.json says. */
  readonly outerShapes: Readonly<Record<string, readonly number[]>>;
  /**
   * Fields of config.json under which every linear with `biasByConfig` has a bias; the checkpoint must then hold
   * all of them, zeros where nothing is added. Absent where no field can add one.
   */
  readonly biasFields?: Config;
  /** What the checkpoint holds as one tensor and the model as several: it is run from the checkpoint that is taken apart so. */
  readonly parts?: readonly TensorPart[];
  /** Where results hold these as the checkpoint does, since what loads them knows them as one tensor alone: its leading extent. */
  readonly joinsParts?: number;
  /** Modules of the checkpoint that are neither run nor quantized, such as what encodes images beside a language model. */
  readonly otherParts?: readonly string[];
  /** And where a constant on the final hidden states folds, by its full name. */
  readonly slots: Readonly<Record<'attention' | 'mlp' | 'block' | 'model', FoldSlot>>;

  /** The full name of a block, such as 'model.decoder.layers.0'. */
  blockName(index: number): string;
  /** A mini-batch of whole samples → hidden states. */
  embed(input: Tensor, weights: Weights, context: BlockContext): Tensor;
  block(x: Tensor, weights: Weights, linear: Linear, context: BlockContext, index: number): Tensor;
  /** Hidden states after the last block → final hidden states [predictions, hiddenSize]: the rows that `head` projects. */
  finalStates(x: Tensor, weights: Weights, context: BlockContext): Tensor;
  /** Hidden states after the last block → logits, a row for each prediction. */
  head(x: Tensor, weights: Weights, context: BlockContext): Tensor;
}

export function shapeOf(model: BlockModel, index: number): BlockShape {
  return model.shapes?.[index] ?? model;
}

/** Parts that are one tensor in results too. */
export function joinedParts({ parts = [], joinsParts }: BlockModel): readonly TensorPart[] {
  return joinsParts === undefined ? [] : parts;
}

/** Whether any block's MLP is experts. */
export function hasExperts(model: BlockModel): boolean {
  return (model.shapes ?? [model]).some(({ experts }) => experts !== undefined);
}

/** Of all blocks together. */
export function countLinears({ shapes, blocks, linears }: BlockModel): number {
  return (
    shapes?.reduce((count, shape) => count + shape.linears.length, 0) ?? blocks * linears.length
  );
}

/** A decoder-only language model: `embed` reads ids [tokens] int32, `head` predicts [tokens, vocabularySize]. */
export interface LanguageModel extends BlockModel {
  readonly vocabularySize: number;
  /** The longest sequence the checkpoint supports; Infinity where positions are relative. */
  readonly maxPositions: number;
  /** What it was made of, where it is a gated decoder, or one of layer norms. */
  readonly decoder?: GatedDecoder;
  readonly layerNormDecoder?: LayerNormDecoder;
}

/** What images a model reads. */
export interface ImageShape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Gradients of a loss within a block. */
export interface BlockGradient {
  /** With respect to the block's input. */
  readonly input: Tensor;
  /** With respect to each linear's output before its activation, by name inside the block. */
  readonly linears: ReadonlyMap<string, Tensor>;
  /** With respect to attention's scores, and to what it gives; absent where the block has none. */
  readonly scores?: Tensor;
  readonly mixed?: Tensor;
}

/** An image classifier: `embed` reads pixels [images, channels·height·width] float32, `head` predicts [images, classes]. */
export interface VisionModel extends BlockModel {
  readonly image: ImageShape;
  /** Tokens of one image. */
  readonly sequence: number;
  readonly classes: number;
  /** Names of the classes, where the checkpoint gives them. */
  readonly labels: ReadonlyMap<string, number>;

  /** Gradients within a block, given that with respect to its output; `weightOf` gives weights [out, in]. */
  blockGradient(
    x: Tensor,
    weights: Weights,
    linear: Linear,
    weightOf: (linear: string) => Tensor,
    gradient: Tensor,
    context: BlockContext,
    index: number,
  ): BlockGradient;
  /** With respect to the last hidden states, given that with respect to the logits. */
  headGradient(x: Tensor, weights: Weights, gradient: Tensor, context: BlockContext): Tensor;
}

/** A model in the words of another architecture. */
export interface Rewrite {
  readonly config: Config;
  /** Where that holds apart what the checkpoint holds as one tensor. */
  readonly parts?: readonly TensorPart[];
}

/** One file per architecture exports this, and the registry has a line for it. */
export interface Architecture<Model extends BlockModel = LanguageModel> {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** `model_type`s that are not supported but closer to this architecture than their names tell. */
  readonly relatives?: readonly string[];
  /** By client, linears whose bias its class of this model does not own, though config.json announces it. */
  readonly biasesNotRead?: Readonly<Partial<Record<Client, readonly string[]>>>;
  /** Clients that have no class for it, so that no result of it can be meant for them. */
  readonly notLoadedBy?: readonly Client[];
  /** Clients whose class of it takes packed codes apart wrongly. */
  readonly packedNotLoadedBy?: readonly Client[];
  /**
   * Throws ERR_CHECKPOINT for a configuration that contradicts itself or the tensors present, ERR_UNSUPPORTED for a
   * variant that is not implemented.
   */
  read(config: Config, tensors: ReadonlySet<string>): Model;
  /**
   * Architectures that compute the same, by model type. Throws ERR_UNSUPPORTED for a configuration that they do not
   * compute exactly.
   */
  readonly rewrites?: Readonly<
    Record<string, (config: Config, tensors: ReadonlySet<string>) => Rewrite>
  >;
}
