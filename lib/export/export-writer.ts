// What every export does around its format: refuses a grid the format cannot hold before anything is written, notes
// digests as blocks come, and at the end reads the files back and compares. Devices are done with a block as soon as it is on
// the host: what is left of it is written and digested while they work on the next one.

import { recordFile } from '../checkpoint/output/result-files.js';
import type { Tensor } from '../device/index.js';
import { expectGrid } from './expect-grid.js';
import type {
  ExportedBlock,
  ExportedLinear,
  ExportFormat,
  ExportInput,
  ExportWriter,
  Grid,
} from './format.js';
import { openResult } from './opened-result.js';
import type { ExportRecord, LinearDigest } from './record.js';
import { formats } from './registry.js';
import {
  type DigestedValues,
  digestOf,
  type ReadMemory,
  valuesOf,
  verifyResult,
} from './verification.js';

class VerifyingWriter implements ExportWriter {
  readonly #blocks: Record<string, LinearDigest>[] = [];
  readonly #memory: ReadMemory = new Map();
  /** Of the last block; the host holds no more than one. */
  #digesting: Promise<void> = Promise.resolve();

  constructor(
    private readonly format: ExportFormat,
    private readonly input: ExportInput,
    private readonly writer: ExportWriter,
  ) {}

  async writeBlock(block: ExportedBlock): Promise<void> {
    await this.#digesting;
    const values = new Map<string, DigestedValues>();
    const linears = new Map<string, ExportedLinear>();
    for (const [name, linear] of block.linears) {
      const own = await valuesOf(linear, this.#memory.get(name));
      values.set(name, own);
      linears.set(name, { ...linear, bytes: new Uint8Array(own.weight) });
    }
    await this.writer.writeBlock({ ...block, linears });
    this.#digesting = this.#digest(block.index, values);
    // Told by whoever waits for it.
    this.#digesting.catch(() => {});
  }

  /** Takes the values over once they are written. */
  async #digest(index: number, values: ReadonlyMap<string, DigestedValues>): Promise<void> {
    await this.writer.written?.();
    const digests = Array.from(values, async ([name, own]) => {
      return [name, await digestOf(own, name, this.#memory)] as const;
    });
    this.#blocks[index] = Object.fromEntries(await Promise.all(digests));
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.#digesting;
    await this.writer.finish(replaced);
    const { device, output, grid, throwIfAborted } = this.input;
    const record: ExportRecord = {
      format: this.format.name,
      grid: gridOf(grid),
      blocks: this.#blocks,
    };
    await verifyResult(await openResult(device, output.path, formats, { record }), throwIfAborted);
    await output.writeJson(recordFile, record);
  }

  async abort(): Promise<void> {
    await this.writer.abort();
    await this.#digesting.catch(() => {});
  }
}

/** Errors: ERR_ARGUMENT for a grid, ERR_UNSUPPORTED for a model that the format cannot hold, ERR_IO. */
export async function openExport(format: ExportFormat, input: ExportInput): Promise<ExportWriter> {
  expectGrid(format, input.grid);
  return new VerifyingWriter(format, input, await format.open(input));
}

/** The grid alone, without whatever else the options of a run hold. */
function gridOf(grid: Grid): Grid {
  const { bits, groupSize, symmetric, clip, scaleDtype, superBlocks, actOrder, staticGroups } =
    grid;
  return { bits, groupSize, symmetric, clip, scaleDtype, superBlocks, actOrder, staticGroups };
}
