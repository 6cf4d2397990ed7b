// Writes a model of llama.cpp's tensor by tensor: linears as blocks come, everything else at the end. What is one tensor for all
// experts of a block waits for the last of them.

import { loadTensor } from '../../checkpoint/load-tensor.js';
import type { Tensor } from '../../device/index.js';
import { BallastError } from '../../errors.js';
import { type LinearSpec, shapeOf } from '../../models/index.js';
import type { QuantizedWeight } from '../../quantizers/index.js';
import { bytesOf, bytesOfMade, bytesOfTensor } from '../bytes.js';
import { resultConfig } from '../capabilities.js';
import type { ExportedBlock, ExportInput, ExportWriter } from '../format.js';
import { type BlockType, packed, rowBytes } from './block-types.js';
import type { GgufFileWriter, GgufTensor } from './file-writer.js';
import {
  type FloatDtype,
  floatTypes,
  type Kept,
  normOffset,
  packedMatrix,
  raised,
} from './kept-tensors.js';
import { type GgufLayout, reordered } from './layout.js';
import { inBlock } from './names.js';
import { rotaryFactors } from './rotation.js';

export class GgufWriter implements ExportWriter {
  readonly #replaced = new Set<string>();

  constructor(
    private readonly input: ExportInput,
    private readonly layout: GgufLayout,
    private readonly type: BlockType,
    private readonly kept: readonly Kept[],
    /** Linears whose bias llama.cpp reads. */
    private readonly read: ReadonlySet<string>,
    private readonly file: GgufFileWriter,
  ) {}

  async writeBlock({ index, linears, replaced }: ExportedBlock): Promise<void> {
    const { model, device } = this.input;
    const ofExperts = new Map<string, Uint8Array[]>();
    for (const spec of shapeOf(model, index).linears) {
      const { name, outChannels } = spec;
      const linear = linears.get(name);
      if (linear === undefined) throw new RangeError(`No linear ${name}.`);
      const { name: own, expert, order } = this.layout.targetOf(name);
      const target = inBlock(index, own);
      const bytes = await this.#blocks(linear.codes, order);
      if (expert !== undefined) {
        ofExperts.set(target, [...(ofExperts.get(target) ?? []), bytes]);
        continue;
      }
      await this.file.write(`${target}.weight`, bytes);
      if (!hasBias(this.input, this.layout, spec, this.read)) continue;
      using zeros = device.zeros('float32', [outChannels]);
      using bias = reordered(linear.bias ?? zeros, order);
      await this.#write(`${target}.bias`, bias);
    }
    for (const [target, parts] of ofExperts) {
      await this.file.write(`${target}.weight`, Buffer.concat(parts));
    }
    for (const [name, tensor] of replaced) {
      const own = this.layout.tensorTarget(index, name);
      using whole = raised(tensor, own.scales ? normOffset(this.layout) : 0);
      await this.#write(own.name, whole);
      this.#replaced.add(own.name);
    }
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    const { device, checkpoint, output } = this.input;
    for (const { name, source, dtype, type, offset } of this.kept) {
      if (this.#replaced.has(name)) continue;
      const changed = replaced.get(source);
      using tensor =
        changed === undefined
          ? loadTensor(device, checkpoint, source, { dtype })
          : device.cast(changed, dtype);
      await expectFinite(tensor, source);
      using whole = type ? packedMatrix(tensor, type) : raised(tensor, offset);
      await this.#write(name, whole);
    }
    for (const [name, factors] of rotaryFactors(this.layout)) {
      await this.file.write(name, bytesOf(factors));
    }
    await this.file.close();
    await output.writeConfig(resultConfig(this.input), checkpoint.directory);
    await output.copyCompanions(checkpoint.directory);
  }

  abort(): Promise<void> {
    return this.file.abort();
  }

  #blocks(weight: QuantizedWeight, order: Int32Array | undefined): Promise<Uint8Array> {
    const { device } = this.input;
    return bytesOfMade(device, () => reordered(packed(device, weight, this.type), order));
  }

  async #write(name: string, tensor: Tensor): Promise<void> {
    await this.file.write(name, await bytesOfTensor(tensor));
  }
}

async function expectFinite(tensor: Tensor, source: string): Promise<void> {
  using count = tensor.device.countNonFinite(tensor);
  if ((await count.readFloat64())[0] === 0) return;
  throw new BallastError(
    'ERR_NUMERIC',
    `${source} holds values beyond the range of ${tensor.dtype}, which format gguf stores it in; convert the checkpoint to bfloat16 first.`,
  );
}

/** All that llama.cpp reads may have one here, whatever the architecture's own class allows. */
function hasBias(
  { addBiases }: ExportInput,
  { architecture }: GgufLayout,
  { name, bias }: LinearSpec,
  read: ReadonlySet<string>,
): boolean {
  return bias || architecture.needsBiases === true || (addBiases && read.has(name));
}

export function planTensors(
  input: ExportInput,
  layout: GgufLayout,
  type: BlockType,
  kept: readonly Kept[],
  read: ReadonlySet<string>,
): GgufTensor[] {
  const { model, checkpoint } = input;
  const floats = (name: string, shape: readonly number[], dtype: FloatDtype): GgufTensor => {
    const elements = shape.reduce((product, extent) => product * extent, 1);
    return {
      name,
      shape,
      type: floatTypes[dtype],
      bytes: elements * (dtype === 'float32' ? 4 : 2),
    };
  };
  const factors = Array.from(rotaryFactors(layout), ([name, { length }]) =>
    floats(name, [length], 'float32'),
  );
  const linears = Array.from({ length: model.blocks }, (_, block) =>
    shapeOf(model, block).linears.flatMap((spec) => {
      const { inChannels, outChannels } = spec;
      const { name, expert } = layout.targetOf(spec.name);
      const target = inBlock(block, name);
      const bytes = outChannels * rowBytes(type, inChannels);
      const shape = [outChannels, inChannels];
      const weight = { name: `${target}.weight`, shape, type: type.id, bytes };
      if (expert !== undefined) {
        const count = layout.outline.mixture?.count ?? 0;
        const all = { ...weight, shape: [count, ...shape], bytes: count * bytes };
        return expert === 0 ? [all] : [];
      }
      const bias = floats(`${target}.bias`, [outChannels], 'float32');
      return hasBias(input, layout, spec, read) ? [weight, bias] : [weight];
    }),
  );
  return [
    ...factors,
    ...kept.map(({ name, source, dtype, type: own }) => {
      const { shape } = checkpoint.tensor(source);
      const [rows = 0, columns = 0] = shape;
      if (own === undefined) return floats(name, shape, dtype);
      return { name, shape, type: own.id, bytes: rows * rowBytes(own, columns) };
    }),
    ...linears.flat(),
  ];
}
