// What an export format is: it is told of each quantized block as soon as that exists, and writes it; and it reads
// back what it wrote, so that a result can be checked and converted. Every format is made from the same codes, scales
// and biases.

import type { BlockQuantizers } from '../activations/index.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { OutputDirectory } from '../checkpoint/output/output-directory.js';
import type { Client } from '../clients.js';
import type { Device, DType, Tensor } from '../device/index.js';
import type { BlockModel, Config, LinearSpec } from '../models/index.js';
import type { QuantizedWeight, Scheme } from '../quantizers/index.js';
import type { StoredBits } from './stored-bits.js';

/** The grid of a run's codes, and how its groups came to be. */
export interface Grid extends Scheme {
  readonly actOrder: boolean;
  readonly staticGroups: boolean;
}

/** One quantized linear, ready to be written. */
export interface ExportedLinear {
  readonly codes: QuantizedWeight;
  /** [out, in] in the source's dtype. */
  readonly weight: Tensor;
  /** [out] float32, own and fitted bias together; absent where there is neither. */
  readonly bias?: Tensor | undefined;
  /** The weight's bytes, where they are on the host already; there until the writer's `written` has resolved. */
  readonly bytes?: Uint8Array;
}

export interface ExportedBlock {
  readonly index: number;
  /** By name inside the block. */
  readonly linears: ReadonlyMap<string, ExportedLinear>;
  /** Other tensors of the block that changed, by name inside the block; float32. */
  readonly replaced: ReadonlyMap<string, Tensor>;
  /** How activations are quantized, for formats that compute; absent where they stay float. */
  readonly activations?: BlockQuantizers | undefined;
  /** What is added to a linear's output per position, by the linear's name inside the block: [sequence, out] float32. */
  readonly positionBiases?: ReadonlyMap<string, Tensor>;
  /** The same for the block's output. */
  readonly positionBias?: Tensor | undefined;
}

export interface ExportInput {
  readonly device: Device;
  /** Where tensors that are no linears come from. */
  readonly checkpoint: Checkpoint;
  readonly model: BlockModel;
  /** config.json of the result, but for what formats and biases add to it. */
  readonly config: Config;
  readonly output: OutputDirectory;
  readonly grid: Grid;
  /** Whether linears without a bias get one where the model and the format allow it: zeros where none was fitted. */
  readonly addBiases: boolean;
  /** What a linear is executed in, where `checkpoint` does not hold its weight to tell. */
  readonly dtypeOf?: (block: number, linear: string) => DType | undefined;
  readonly maxShardBytes: number;
  /** 16 where embedding and head are stored as floats. */
  readonly embeddingBits: number;
  /** Called between blocks as the result is read back; throws to stop. */
  readonly throwIfAborted: () => void;
}

export interface ExportWriter {
  /** When it resolves, the block's tensors may be disposed; a failure to write it may only be told by a later call. */
  writeBlock(block: ExportedBlock): Promise<void>;
  /** Resolves when all blocks given are in the files; absent where `writeBlock` waits for that itself. */
  written?(): Promise<void>;
  /** Writes what is not part of a block, changed tensors (float32) by their full names, and completes the files. */
  finish(replaced: ReadonlyMap<string, Tensor>): Promise<void>;
  /** Closes what is open; the output directory's owner removes it. Harmless after `finish`. */
  abort(): Promise<void>;
}

export interface ReadInput {
  readonly device: Device;
  readonly directory: string;
  /** The result's config.json, and the model that it describes. */
  readonly config: Config;
  readonly model: BlockModel;
  readonly grid: Grid;
  /** Whether codes are wanted: where a result holds weights alone, they have to be found first. */
  readonly codes: boolean;
}

/** A linear as a result holds it; the caller disposes its tensors. */
export interface StoredLinear {
  /** Absent where they are not wanted, and where a result does not tell them. */
  readonly codes?: QuantizedWeight;
  /** [out, in]. */
  readonly weight: Tensor;
  /** [out] float32. */
  readonly bias?: Tensor | undefined;
}

export interface ExportReader {
  /** The weight in `dtype`. Errors: ERR_CHECKPOINT for a tensor that is missing or of another shape, ERR_IO. */
  linear(block: number, spec: LinearSpec, dtype: DType): Promise<StoredLinear>;
  /**
   * A tensor that is no linear's, by the source's name, in `dtype` or as it is stored. Errors as `linear`. Absent where
   * the format does not hold them as they were.
   */
  readonly tensor?: (name: string, dtype?: DType) => Tensor;
}

/** What the header of a file says that is no checkpoint. */
export interface FileDescription {
  /** Its name. */
  readonly file: string;
  readonly tensors: readonly DescribedTensor[];
  /** Its other entries that are one value each. */
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

interface DescribedTensor {
  /** In the format's own words. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface ExportFormat {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Whether results are checkpoints like the source, with weights instead of codes. */
  readonly plain?: true;
  /** What loads its results; the one that is meant where nobody says first. */
  readonly clients: readonly [Client, ...Client[]];
  /** Whether every linear may have a bias, whatever the source's architecture allows. */
  readonly holdsAnyBias?: true;
  /** Whether results hold what is computed, and so all that a run fits. */
  readonly computes?: true;
  /** Whether it holds grids of super-blocks; and at how many bits it holds no others. */
  readonly holdsSuperBlocks?: true;
  readonly superBlockBits?: readonly number[];
  /** Bits that embedding and head can be stored in, other than 16 or what the source has. */
  readonly embeddingBits?: readonly number[];
  /** What codes and groups take in its files, where that is not what the grid itself needs. */
  storedBits?(grid: Grid): StoredBits;
  /** What the format fixes of a grid where the caller does not say. */
  readonly gridDefaults?: Partial<Grid>;
  /** What its clients dequantize weights to; absent where that is the source's dtype. */
  readonly weightDtype?: DType;
  /** Throws ERR_ARGUMENT for quantized activations that the format cannot hold: `dynamic` ranges are found for each input. */
  expectActivations?(dynamic: boolean): void;
  /** Throws ERR_ARGUMENT for a grid that the format cannot hold, or `client` cannot read in it, in the words of the options. */
  expectGrid?(grid: Grid, client?: Client): void;
  /**
   * Moves codes and group parameters that are on the grid already to what the format can hold exactly. Called before
   * anything is computed from the weight, so that biases are fitted on what is written. Returns `weight` itself or a
   * copy with new tensors in the place of those that changed.
   */
  roundGrid?(device: Device, weight: QuantizedWeight, grid: Grid): Promise<QuantizedWeight>;
  /**
   * Throws ERR_UNSUPPORTED for a model that the format cannot hold, by what its config.json says, ERR_ARGUMENT for one that it
   * holds on other grids only.
   */
  expectModel?(model: BlockModel, config: Config, grid: Grid): void | Promise<void>;
  /** Throws ERR_UNSUPPORTED for a grid or model that the format cannot hold. */
  open(input: ExportInput): Promise<ExportWriter>;
  /** Reads a finished result. */
  read(input: ReadInput): Promise<ExportReader>;
  /** Names of the tensors in a result, by which architectures tell variants apart; absent for safetensors files. */
  tensorNames?(directory: string): Promise<ReadonlySet<string>>;
  /**
   * Reads headers alone; absent for safetensors files. Errors: ERR_CHECKPOINT for a damaged file, ERR_IO.
   */
  describe?(directory: string): Promise<FileDescription>;
}
