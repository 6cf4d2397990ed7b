// Everything a run leaves on disk, in a directory that only appears under its name when it is whole.

import type { BlockQuantizers } from '../activations/index.js';
import { OutputDirectory } from '../checkpoint/output/output-directory.js';
import { reportFile } from '../checkpoint/output/result-files.js';
import type { Tensor } from '../device/index.js';
import { activationFile } from '../execution/index.js';
import {
  type ExportedLinear,
  type ExportWriter,
  findFormat,
  openExport,
  PositionBiasWriter,
  recordFiles,
} from '../export/index.js';
import type { QuantizedBlock } from './blocks/quantize-block.js';
import type { RunReport } from './events.js';
import type { Run } from './run.js';

export class ResultWriter {
  readonly #run: Run;
  readonly #output: OutputDirectory;
  readonly #weights: ExportWriter;
  readonly #positions: PositionBiasWriter | undefined;
  readonly #activations: BlockQuantizers[] = [];

  private constructor(
    run: Run,
    output: OutputDirectory,
    weights: ExportWriter,
    positions: PositionBiasWriter | undefined,
  ) {
    this.#run = run;
    this.#output = output;
    this.#weights = weights;
    this.#positions = positions;
  }

  static async open(run: Run): Promise<ResultWriter> {
    const { device, checkpoint, model, config, options, context } = run;
    const output = await OutputDirectory.create(options.output, {
      overwrite: options.overwrite,
      source: checkpoint.directory,
    });
    try {
      const weights = await openExport(findFormat(options.format), {
        device,
        checkpoint,
        model,
        config,
        output,
        grid: options,
        addBiases: options.compensation === 'channel' && addsBiases(run),
        maxShardBytes: options.maxShardBytes,
        embeddingBits: options.embeddingBits,
        throwIfAborted: run.throwIfAborted,
      });
      const sites = {
        compensates: run.sites.compensates,
        blocks: run.sites.block,
      };
      const positions =
        options.compensation === 'position'
          ? await PositionBiasWriter.open(output.path, model, context.sequence, sites)
          : undefined;
      return new ResultWriter(run, output, weights, positions);
    } catch (error) {
      await output.discard();
      throw error;
    }
  }

  async writeBlock({ index, linears, bias, activations }: QuantizedBlock): Promise<void> {
    if (activations !== undefined) this.#activations.push(activations);
    const replaced = new Map(bias?.replaced === undefined ? [] : [bias.replaced]);
    await this.#weights.writeBlock({
      index,
      linears: new Map(withCodes(linears)),
      replaced,
      activations,
      positionBiases: new Map(withPositionBiases(linears)),
      positionBias: bias?.positionBias,
    });
    const block = this.#run.model.blockName(index);
    for (const { name, positionBias } of linears.values()) {
      if (this.#run.sites.compensates(name)) {
        await this.#positions?.write(`${block}.${name}`, positionBias);
      }
    }
    if (bias !== undefined) await this.#positions?.write(block, bias.positionBias);
  }

  /** Completes the files; `report` is called when all else is written. Returns what it gave. */
  async finish(replaced: ReadonlyMap<string, Tensor>, report: () => RunReport): Promise<RunReport> {
    await this.#weights.finish(replaced);
    await this.#positions?.close();
    if (this.#activations.length > 0) {
      await this.#output.writeJson(activationFile, { blocks: this.#activations });
    }
    const { model, throwIfAborted } = this.#run;
    await recordFiles(this.#output, model, throwIfAborted);
    const written = report();
    await this.#output.writeJson(reportFile, written);
    await this.#output.commit();
    return written;
  }

  /** Removes what was written; harmless after `finish`. */
  async discard(): Promise<void> {
    await this.#weights.abort();
    await this.#positions?.abort();
    await this.#output.discard();
  }
}

/** Whether any linear may get a bias, by a site of its own or as the slot of the block's. */
function addsBiases({ model, sites }: Run): boolean {
  return sites.block || model.linears.some(({ name }) => sites.compensates(name));
}

function* withCodes(linears: QuantizedBlock['linears']): Generator<[string, ExportedLinear]> {
  for (const [name, { codes, weight, bias }] of linears) {
    if (codes === undefined) throw new RangeError('Prepared weights are scored, never written.');
    yield [name, { codes, weight, bias }];
  }
}

function* withPositionBiases(linears: QuantizedBlock['linears']): Generator<[string, Tensor]> {
  for (const [name, { positionBias }] of linears) {
    if (positionBias !== undefined) yield [name, positionBias];
  }
}
