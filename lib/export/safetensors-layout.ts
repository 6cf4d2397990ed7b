// What formats of safetensors files share: the source's tensors under the source's names, except that each linear's
// weight is held by the tensors of a layout. A format of this kind is such a layout and its words for config.json.

import type { PlannedTensor } from '../checkpoint/output/shard-plan.js';
import type { Device, DType, Tensor } from '../device/index.js';
import type { LinearSpec } from '../models/index.js';
import type { ExportedLinear, Grid, StoredLinear } from './format.js';

/** A linear that is to be written, or was. */
export interface LinearPlace {
  readonly spec: LinearSpec;
  /** Such as 'model.layers.0.self_attn.q_proj'. */
  readonly name: string;
  /** What the source holds the weight in, and so what it is executed in. */
  readonly dtype: DType;
  readonly grid: Grid;
}

/** The tensors of a linear by their last names, such as 'weight_packed'. Errors: ERR_CHECKPOINT for another than planned. */
export interface StoredTensors {
  /** In memory of its own. Error ERR_IO. */
  bytes(suffix: string): Promise<Uint8Array>;
  /** On the device that reads; the caller disposes it. */
  tensor(suffix: string): Tensor;
}

export interface LinearLayout {
  /** The tensors that hold the weight; `name` is the last part of theirs. */
  plan(place: LinearPlace): PlannedTensor[];
  /** The bytes of the planned tensors, by the same names. */
  pack(
    device: Device,
    linear: ExportedLinear,
    place: LinearPlace,
  ): Promise<Readonly<Record<string, Uint8Array>>>;
  /** The inverse of `pack`. */
  unpack(device: Device, stored: StoredTensors, place: LinearPlace): Promise<StoredLinear>;
  /** Fields of config.json. */
  config(grid: Grid, context: ConfigContext): Readonly<Record<string, unknown>>;
}

interface ConfigContext {
  /** Names of matrices outside the blocks, which stay as they are. */
  readonly untouched: readonly string[];
  /** Modules all of whose tensors do: see `BlockModel`. */
  readonly otherParts: readonly string[];
}
