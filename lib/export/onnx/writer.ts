// Writes a model's graph from its embedding to its head, blocks as they come, and their constants as they are ready.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError } from '../../checkpoint/io-error.js';
import { loadTensor } from '../../checkpoint/load-tensor.js';
import type { Tensor } from '../../device/index.js';
import { shapeOf } from '../../models/index.js';
import { resultConfig } from '../capabilities.js';
import type { ExportedBlock, ExportInput, ExportWriter } from '../format.js';
import { addition, openBlockParts } from './block-parts.js';
import { DataFile, graphFile } from './data-file.js';
import { Graph } from './graph.js';
import type { ModelGraph } from './model-graph.js';
import { openModelGraph } from './model-graphs.js';

export class OnnxWriter implements ExportWriter {
  private constructor(
    private readonly input: ExportInput,
    private readonly data: DataFile,
    private readonly graph: Graph,
    private readonly model: ModelGraph,
    private readonly load: (tensor: string) => Promise<Float32Array>,
    /** What `load` gives in the place of the checkpoint's, by full name. */
    private readonly replaced: Map<string, Tensor>,
    /** The value that the nodes so far give. */
    private last: string,
  ) {}

  /** Errors: ERR_UNSUPPORTED for a model without a graph, ERR_IO. */
  static async open(input: ExportInput): Promise<OnnxWriter> {
    const { device, checkpoint, output } = input;
    const data = await DataFile.create(output.path);
    try {
      const graph = new Graph(data);
      const replaced = new Map<string, Tensor>();
      const load = async (name: string) => {
        const changed = replaced.get(name);
        if (changed !== undefined) return changed.readFloat32();
        using tensor = loadTensor(device, checkpoint, name, { dtype: 'float32' });
        return await tensor.readFloat32();
      };
      const model = openModelGraph(input.model, { graph, load });
      return new OnnxWriter(input, data, graph, model, load, replaced, await model.embed());
    } catch (error) {
      await data.abort();
      throw error;
    }
  }

  async writeBlock(block: ExportedBlock): Promise<void> {
    const { grid, model } = this.input;
    const { index, replaced, positionBias } = block;
    const { graph } = this;
    const name = model.blockName(index);
    const load = async (tensor: string) =>
      (await replaced.get(tensor.slice(name.length + 1))?.readFloat32()) ?? this.load(tensor);
    const { linears } = shapeOf(model, index);
    const parts = await openBlockParts({ graph, name, block, grid, linears, load });
    const y = await this.model.block(this.last, parts, index);
    this.last = (await addition(graph, name, 'position_bias', positionBias))(y);
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    const { checkpoint, output } = this.input;
    for (const [name, tensor] of replaced) this.replaced.set(name, tensor);
    const logits = await this.model.head(this.last);
    await this.data.close();
    const path = join(output.path, graphFile);
    try {
      const bytes = this.graph.encode(this.model.input, logits, this.model.output);
      await writeFile(path, bytes, { flush: true });
    } catch (error) {
      throw ioError(error, `writing ${graphFile}`, path);
    }
    await output.writeConfig(resultConfig(this.input), checkpoint.directory);
    await output.copyCompanions(checkpoint.directory);
  }

  abort(): Promise<void> {
    return this.data.abort();
  }
}
