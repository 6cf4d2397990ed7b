// Reads a result back from its GGUF file, under the checkpoint's names and in the order of its rows.

import { join } from 'node:path';
import { converted } from '../../checkpoint/load-tensor.js';
import type { DType, Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { inverseOrder } from '../../inverse-order.js';
import type { LinearSpec } from '../../models/index.js';
import type { ExportReader, ReadInput, StoredLinear } from '../format.js';
import { type BlockType, embeddingType, rowBytes, unpacked } from './block-types.js';
import { GgufFile } from './file-reader.js';
import { type FloatDtype, floatTypes, keptNames, raised } from './kept-tensors.js';
import { type GgufLayout, ggufLayout, reordered } from './layout.js';
import { inBlock } from './names.js';

class GgufReader implements ExportReader {
  /** Names in the file by those of the checkpoint. */
  readonly #kept: ReadonlyMap<string, ReturnType<typeof keptNames>[number]>;

  constructor(
    private readonly input: ReadInput,
    private readonly layout: GgufLayout,
    private readonly type: BlockType | undefined,
    private readonly file: GgufFile,
  ) {
    const names = keptNames(input.model, layout);
    this.#kept = new Map(names.map((kept) => [kept.source, kept]));
  }

  async linear(block: number, spec: LinearSpec, dtype: DType): Promise<StoredLinear> {
    const { file } = this;
    const { device } = this.input;
    const { inChannels, outChannels } = spec;
    const { name, expert, order } = this.layout.targetOf(spec.name);
    const target = inBlock(block, name);
    const shape = [outChannels, inChannels];
    const stacked =
      expert === undefined ? shape : [this.layout.outline.mixture?.count ?? 0, ...shape];
    const type = this.#expectType(`${target}.weight`, stacked);
    const stored = order === undefined ? undefined : inverseOrder(order);
    const width = rowBytes(type, inChannels);
    const size = outChannels * width;
    const bytes = await file.read(`${target}.weight`, size, (expert ?? 0) * size);
    const values = file.tensors.has(`${target}.bias`)
      ? await file.read(`${target}.bias`, 4 * outChannels)
      : undefined;
    return device.scope(() => {
      const blocks = reordered(device.upload('uint8', [outChannels, width], bytes), stored);
      const codes = unpacked(device, blocks, type);
      const weight = device.dequantize(codes.codes, codes.scales, codes.zeros, dtype);
      if (values === undefined) return { codes, weight };
      const bias = device.upload('float32', [outChannels], new Float32Array(values.slice().buffer));
      return { codes, weight, bias: reordered(bias, stored) };
    });
  }

  readonly tensor = (source: string, dtype?: DType): Tensor => {
    const { device } = this.input;
    const { name, offset: above = 0 } = this.#kept.get(source) ?? {};
    const { shape, type, offset } = this.file.tensors.get(name ?? '') ?? {};
    const stored = (Object.keys(floatTypes) as FloatDtype[]).find(
      (key) => floatTypes[key] === type,
    );
    if (type === embeddingType.id && shape?.length === 2 && offset !== undefined) {
      return this.#matrix(shape, offset, dtype);
    }
    if (stored === undefined || shape === undefined || offset === undefined) {
      throw this.#wrong(`floats for ${name ?? source}`, type, shape);
    }
    const held = device.uploadFile(stored, shape, this.file.path, offset);
    const tensor = above === 0 ? held : lowered(held, above);
    return dtype === undefined ? tensor : converted(tensor, dtype);
  };

  /** An embedding or a head in blocks. */
  #matrix([rows = 0, columns = 0]: readonly number[], offset: number, dtype?: DType): Tensor {
    const { device } = this.input;
    const shape = [rows, rowBytes(embeddingType, columns)];
    return device.scope(() => {
      const blocks = device.uploadFile('uint8', shape, this.file.path, offset);
      const { codes, scales, zeros } = unpacked(device, blocks, embeddingType);
      return device.dequantize(codes, scales, zeros, dtype ?? 'float32');
    });
  }

  #expectType(name: string, expected: readonly number[]): BlockType {
    const { type: found, shape } = this.file.tensors.get(name) ?? {};
    const { type } = this;
    if (type !== undefined && found === type.id && `${shape}` === `${expected}`) return type;
    throw this.#wrong(`${type?.name} [${expected.join(', ')}] for ${name}`, found, shape);
  }

  #wrong(expected: string, type: number | undefined, shape: readonly number[] | undefined) {
    return new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${expected} but ${this.file.path} holds type ${type} [${shape}]; export it again.`,
    );
  }
}

function lowered(held: Tensor, above: number): Tensor {
  using whole = held;
  return raised(whole, -above);
}

export async function openGgufReader(
  input: ReadInput,
  type: BlockType | undefined,
  file: string,
): Promise<ExportReader> {
  const layout = ggufLayout(input.model, input.config);
  return new GgufReader(input, layout, type, await GgufFile.open(join(input.directory, file)));
}
