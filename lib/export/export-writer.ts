// What every export does around its format: refuses a grid the format cannot hold before anything is written, notes
// digests as blocks come, and at the end reads the files back and compares.

import type { Tensor } from '../device/index.js';
import type { ExportedBlock, ExportFormat, ExportInput, ExportWriter, Grid } from './format.js';
import { formats } from './registry.js';
import {
  digestsOf,
  type ExportRecord,
  type LinearDigest,
  openResult,
  recordFile,
  verifyResult,
} from './verification.js';

class VerifyingWriter implements ExportWriter {
  readonly #blocks: Record<string, LinearDigest>[] = [];

  constructor(
    private readonly format: ExportFormat,
    private readonly input: ExportInput,
    private readonly writer: ExportWriter,
  ) {}

  async writeBlock(block: ExportedBlock): Promise<void> {
    await this.writer.writeBlock(block);
    this.#blocks[block.index] = await digestsOf(block.linears);
  }

  async finish(replaced: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.writer.finish(replaced);
    const { device, output, grid } = this.input;
    const record: ExportRecord = {
      format: this.format.name,
      grid: gridOf(grid),
      blocks: this.#blocks,
    };
    await verifyResult(await openResult(device, output.path, formats, { record }));
    await output.writeJson(recordFile, record);
  }

  abort(): Promise<void> {
    return this.writer.abort();
  }
}

/** Errors: ERR_ARGUMENT for a grid, ERR_UNSUPPORTED for a model that the format cannot hold, ERR_IO. */
export async function openExport(format: ExportFormat, input: ExportInput): Promise<ExportWriter> {
  format.expectGrid?.(input.grid);
  return new VerifyingWriter(format, input, await format.open(input));
}

/** The grid alone, without whatever else the options of a run hold. */
function gridOf(grid: Grid): Grid {
  const { bits, groupSize, symmetric, clip, scaleDtype, actOrder, staticGroups } = grid;
  return { bits, groupSize, symmetric, clip, scaleDtype, actOrder, staticGroups };
}
