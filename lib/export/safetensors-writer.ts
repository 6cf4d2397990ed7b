// Writes a format of safetensors files: planned from the source's headers, linear by linear as blocks are ready, the
// rest copied at the end. The whole model is never in memory; a block's bytes go to the files while the next one is worked on.

import { loadTensor } from '../checkpoint/load-tensor.js';
import { SafetensorsWriter } from '../checkpoint/output/safetensors-writer.js';
import type { PlannedTensor } from '../checkpoint/output/shard-plan.js';
import { readTensor } from '../checkpoint/read-tensor.js';
import type { TensorInfo } from '../checkpoint/tensor-info.js';
import type { DType, Tensor } from '../device/index.js';
import { expectFinite } from '../execution/index.js';
import { type LinearSpec, shapeOf } from '../models/index.js';
import { biasDtype } from './bias-dtype.js';
import { bytesOfMade, bytesOfTensor } from './bytes.js';
import { holdsBias, resultConfig } from './capabilities.js';
import type { ExportedBlock, ExportedLinear, ExportInput, ExportWriter } from './format.js';
import { joinParts } from './joined-parts.js';
import type { LinearLayout, LinearPlace } from './safetensors-layout.js';

class LayoutWriter implements ExportWriter {
  /** One write after the other: each takes a thread of those that devices are waited for on. */
  #writing: Promise<void> = Promise.resolve();
  #aborted = false;
  /** Of `remaining`: what is copied before the end. */
  readonly #early: ReadonlySet<string>;

  constructor(
    private readonly input: ExportInput,
    private readonly layout: LinearLayout,
    private readonly places: ReadonlyMap<string, LinearPlace>,
    private readonly writer: SafetensorsWriter,
    /** Tensors of the source that nobody has replaced so far. */
    private readonly remaining: Set<string>,
  ) {
    // Embeddings and heads are large, and only vectors are ever replaced: copied while the first block is worked on.
    const { checkpoint } = input;
    const infos = Array.from(remaining, (name) => checkpoint.tensor(name));
    const matrices = infos.filter(({ shape }) => shape.length === 2);
    this.#early = new Set(matrices.map(({ name }) => name));
    for (const info of matrices) this.#writeBehind(info.name, () => this.#copyOf(info));
  }

  async writeBlock({ index, linears, replaced }: ExportedBlock): Promise<void> {
    const { device, model } = this.input;
    const block = model.blockName(index);
    await this.#writing;
    for (const spec of shapeOf(model, index).linears) {
      const name = `${block}.${spec.name}`;
      const linear = linears.get(spec.name);
      const place = this.places.get(name);
      if (linear === undefined || place === undefined) throw new RangeError(`No linear ${name}.`);
      const packed = await this.layout.pack(device, linear, place);
      for (const [suffix, bytes] of Object.entries(packed)) {
        this.#writeBehind(`${name}.${suffix}`, async () => bytes);
      }
      if (holdsBias(this.input, spec)) await this.#writeBias(place, linear);
    }
    for (const [name, tensor] of replaced) await this.#replace(`${block}.${name}`, tensor);
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    const { checkpoint, model, output, grid } = this.input;
    for (const [name, tensor] of replaced) await this.#replace(name, tensor);
    await this.#writing;
    for (const name of this.remaining) {
      if (this.#early.has(name)) continue;
      await this.writer.write(name, await this.#copyOf(checkpoint.tensor(name)));
    }
    await this.writer.close();
    const { otherParts = [] } = model;
    const untouched = [...this.remaining]
      .filter((name) => checkpoint.tensor(name).shape.length === 2 && name.endsWith('.weight'))
      .filter((name) => !otherParts.some((part) => `.${name}`.includes(`.${part}.`)))
      .map((name) => name.slice(0, -'.weight'.length));
    const added = this.layout.config(grid, { untouched, otherParts });
    await output.writeConfig({ ...resultConfig(this.input), ...added }, checkpoint.directory);
    await output.copyCompanions(checkpoint.directory);
  }

  async written(): Promise<void> {
    await this.#writing;
  }

  async abort(): Promise<void> {
    this.#aborted = true;
    await this.#writing.catch(() => {});
    await this.writer.abort();
  }

  /** Bytes as they stand in the file; an FP8 weight that nobody has quantized is made a float one by the device. */
  async #copyOf(info: TensorInfo): Promise<Uint8Array> {
    if (info.float8 === undefined) return readTensor(info);
    const { device, checkpoint } = this.input;
    using weight = loadTensor(device, checkpoint, info.name);
    await expectFinite([[info.name, weight]], () => info.file);
    return bytesOfTensor(weight);
  }

  /** The first failure ends all that follow, and is told by whoever waits. */
  #writeBehind(name: string, bytesOf: () => Promise<Uint8Array>): void {
    this.#writing = this.#writing.then(async () => {
      if (!this.#aborted) await this.writer.write(name, await bytesOf());
    });
    this.#writing.catch(() => {});
  }

  async #writeBias({ name, spec, dtype }: LinearPlace, { bias }: ExportedLinear): Promise<void> {
    const { device, checkpoint } = this.input;
    const full = `${name}.bias`;
    using zeros = device.zeros('float32', [spec.outChannels]);
    await this.#write(full, bias ?? zeros, biasDtype(checkpoint, name, dtype));
  }

  async #replace(name: string, tensor: Tensor): Promise<void> {
    await this.#write(name, tensor, this.input.checkpoint.tensor(name).dtype as DType);
    this.remaining.delete(name);
  }

  async #write(name: string, tensor: Tensor, dtype: DType): Promise<void> {
    const { device } = this.input;
    const bytes = await bytesOfMade(device, () => device.cast(tensor, dtype));
    this.#writeBehind(name, async () => bytes);
  }
}

export async function openLayoutWriter(
  input: ExportInput,
  layout: LinearLayout,
): Promise<ExportWriter> {
  const { checkpoint, maxShardBytes } = input;
  const places = new Map(linearPlaces(input).map((place) => [place.name, place]));
  const remaining = new Set<string>();
  const planned = new Set<string>();
  const plan: PlannedTensor[] = [];
  // In the order of the source, so that what is read together lies together.
  for (const { name, dtype, shape } of checkpoint.tensors.values()) {
    const place = places.get(name.slice(0, name.lastIndexOf('.')));
    if (place === undefined) {
      plan.push({ name, dtype, shape });
      remaining.add(name);
    } else if (!planned.has(place.name)) {
      plan.push(...planLinear(input, layout, place));
      planned.add(place.name);
    }
  }
  const joined = joinParts(plan, input.model);
  const writer = await SafetensorsWriter.create(input.output.path, joined, { maxShardBytes });
  return new LayoutWriter(input, layout, places, writer, remaining);
}

function planLinear(input: ExportInput, layout: LinearLayout, place: LinearPlace): PlannedTensor[] {
  const { spec, name, dtype } = place;
  const plan = layout.plan(place);
  if (holdsBias(input, spec)) {
    const stored = biasDtype(input.checkpoint, name, dtype);
    plan.push({ name: 'bias', dtype: stored, shape: [spec.outChannels] });
  }
  return plan.map((tensor) => ({ ...tensor, name: `${name}.${tensor.name}` }));
}

function linearPlaces(input: ExportInput): LinearPlace[] {
  const { model, checkpoint, grid } = input;
  const inBlock = (spec: LinearSpec, block: number): LinearPlace => {
    const name = `${model.blockName(block)}.${spec.name}`;
    const dtype = input.dtypeOf?.(block, spec.name) ?? checkpoint.tensor(`${name}.weight`).dtype;
    return { spec, name, dtype: dtype as DType, grid };
  };
  return Array.from({ length: model.blocks }, (_, block) =>
    shapeOf(model, block).linears.map((spec) => inBlock(spec, block)),
  ).flat();
}
