// What an export format is: it is told of each quantized block as soon as that exists, and writes it. Every format
// is made from the same codes, scales and biases.

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { OutputDirectory } from '../checkpoint/output-directory.js';
import type { Device, Tensor } from '../device/index.js';
import type { LanguageModel } from '../models/index.js';
import type { QuantizedWeight, Scheme } from '../quantizers/index.js';

/** One quantized linear, ready to be written. */
export interface ExportedLinear {
  readonly codes: QuantizedWeight;
  /** [out, in] in the source's dtype. */
  readonly weight: Tensor;
  /** [out] float32, own and fitted bias together; absent where there is neither. */
  readonly bias?: Tensor | undefined;
}

export interface ExportedBlock {
  readonly index: number;
  /** By name inside the block. */
  readonly linears: ReadonlyMap<string, ExportedLinear>;
  /** Other tensors of the block that changed, by name inside the block; float32. */
  readonly replaced: ReadonlyMap<string, Tensor>;
}

export interface ExportInput {
  readonly device: Device;
  readonly checkpoint: Checkpoint;
  readonly model: LanguageModel;
  readonly output: OutputDirectory;
  readonly scheme: Scheme;
  readonly maxShardBytes: number;
}

export interface ExportWriter {
  writeBlock(block: ExportedBlock): Promise<void>;
  /** Writes what is not part of a block and completes the files. */
  finish(): Promise<void>;
  /** Closes what is open; the output directory's owner removes it. Harmless after `finish`. */
  abort(): Promise<void>;
}

export interface ExportFormat {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Throws ERR_UNSUPPORTED for a grid or model that the format cannot hold. */
  open(input: ExportInput): Promise<ExportWriter>;
}
