// Scales and zero points beside dequantized weights, which with them tell their codes: rounding a weight to its grid
// finds the code it was made of. A folder of its own, since clients take every safetensors file next to config.json
// for weights.

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectories } from '../checkpoint/output/make-directories.js';
import { SafetensorsWriter } from '../checkpoint/output/safetensors-writer.js';
import type { PlannedTensor } from '../checkpoint/output/shard-plan.js';
import { readHeader } from '../checkpoint/safetensors-header.js';
import type { TensorInfo } from '../checkpoint/tensor-info.js';
import type { Device, DType, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import { type LinearSpec, shapeOf } from '../models/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { bytesOfMade, bytesOfTensor } from './bytes.js';
import type { ExportedBlock, ExportInput, Grid } from './format.js';
import { groupCount } from './host-codes.js';

export const gridFolder = 'ballast-grid';
const baseName = 'grid';

type Planned = PlannedTensor & { readonly dtype: DType };

/** What tells a linear's codes from its weight; `name` is the last part of the tensor's. */
function planLinear(
  { inChannels, outChannels }: LinearSpec,
  { groupSize, scaleDtype, symmetric, actOrder, staticGroups }: Grid,
): Planned[] {
  const perGroup = [outChannels, groupCount(inChannels, groupSize)];
  return [
    { name: 'scales', dtype: scaleDtype, shape: perGroup },
    // In the middle of the codes where the grid is symmetric. Some formats have none that are whole numbers.
    ...(symmetric ? [] : [{ name: 'zeros', dtype: 'float32', shape: perGroup } as const]),
    ...(actOrder && !staticGroups
      ? [{ name: 'group_index', dtype: 'int32', shape: [inChannels] } as const]
      : []),
  ];
}

export class GridFileWriter {
  private constructor(
    private readonly input: ExportInput,
    private readonly writer: SafetensorsWriter,
  ) {}

  static async create(input: ExportInput): Promise<GridFileWriter> {
    const { model, grid, output } = input;
    const blocks = Array.from({ length: model.blocks }, (_, index) => index);
    const plan = blocks.flatMap((index) =>
      shapeOf(model, index).linears.flatMap((spec) =>
        planLinear(spec, grid).map((tensor) => ({
          ...tensor,
          name: `${model.blockName(index)}.${spec.name}.${tensor.name}`,
        })),
      ),
    );
    const directory = join(output.path, gridFolder);
    await makeDirectories(directory);
    const options = { baseName, maxShardBytes: Number.MAX_SAFE_INTEGER };
    return new GridFileWriter(input, await SafetensorsWriter.create(directory, plan, options));
  }

  async writeBlock({ index, linears }: ExportedBlock): Promise<void> {
    const { model, grid, device } = this.input;
    for (const spec of shapeOf(model, index).linears) {
      const linear = linears.get(spec.name);
      if (linear === undefined) throw new RangeError(`No linear ${spec.name}.`);
      const { scales, zeros, groupIndex } = linear.codes;
      const bytes: Readonly<Record<string, Uint8Array | undefined>> = {
        scales: await bytesOfMade(device, () => device.cast(scales, grid.scaleDtype)),
        zeros: await bytesOfTensor(zeros),
        group_index: groupIndex && (await bytesOfTensor(groupIndex)),
      };
      for (const { name } of planLinear(spec, grid)) {
        const data = bytes[name];
        if (data === undefined) throw new RangeError(`No ${name} of ${spec.name}.`);
        await this.writer.write(`${model.blockName(index)}.${spec.name}.${name}`, data);
      }
    }
  }

  close(): Promise<void> {
    return this.writer.close();
  }

  abort(): Promise<void> {
    return this.writer.abort();
  }
}

export class GridFile {
  private constructor(private readonly tensors: ReadonlyMap<string, TensorInfo>) {}

  /** Undefined where the result has none. Errors: ERR_CHECKPOINT for a damaged file, ERR_IO. */
  static async open(directory: string): Promise<GridFile | undefined> {
    const path = join(directory, gridFolder, `${baseName}.safetensors`);
    const present = await access(path).then(
      () => true,
      () => false,
    );
    return present ? new GridFile((await readHeader(path)).tensors) : undefined;
  }

  /**
   * The codes that `weight` [out, in] of linear `name` was made of; undefined where it lies on no such grid. The caller
   * disposes them. Error ERR_CHECKPOINT for a tensor that is missing or of another shape.
   */
  async codes(
    device: Device,
    name: string,
    spec: LinearSpec,
    grid: Grid,
    weight: Tensor,
  ): Promise<QuantizedWeight | undefined> {
    const plan = planLinear(spec, grid);
    const found = device.scope(() => {
      const load = (part: string) => {
        const planned = plan.find((tensor) => tensor.name === part);
        return planned && this.#load(device, `${name}.${part}`, planned);
      };
      const scales = load('scales');
      if (scales === undefined) throw new RangeError('A grid without scales.');
      const zeros = load('zeros') ?? middles(device, grid, scales);
      const groupIndex = load('group_index');
      const codes = device.quantize(weight, scales, zeros, grid.bits, groupIndex);
      return {
        codes: { codes, scales, zeros, groupIndex },
        again: device.dequantize(codes, scales, zeros, weight.dtype, groupIndex),
      };
    });
    using again = found.again;
    const [before, after] = [await weight.read(), await again.read()];
    if (Buffer.from(before).equals(Buffer.from(after))) return found.codes;
    for (const tensor of Object.values(found.codes)) tensor?.dispose();
    return undefined;
  }

  #load(device: Device, name: string, { dtype, shape }: Planned): Tensor {
    const info = this.tensors.get(name);
    if (info === undefined || info.dtype !== dtype || `${info.shape}` !== `${shape}`) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected ${dtype} [${shape}] for ${name} in ${gridFolder} but received ${info?.dtype} [${info?.shape}]; ` +
          'quantize the model again.',
      );
    }
    const stored = device.uploadFile(dtype, shape, info.file, info.offset);
    return dtype === 'int32' ? stored : device.cast(stored, 'float32');
  }
}

function middles(device: Device, { bits }: Grid, { shape, elements }: Tensor): Tensor {
  return device.upload('float32', shape, new Float32Array(elements).fill(2 ** (bits - 1)));
}
