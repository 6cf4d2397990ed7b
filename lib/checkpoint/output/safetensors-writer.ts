// Writes a checkpoint whose shapes are known beforehand: headers first, then each tensor at its planned place, in
// whatever order it is ready. So memory holds one tensor. Files are as Hugging Face names them, with an index when there
// is more than one.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BallastError } from '../../errors.js';
import { sharedDefaults } from '../../shared-defaults.js';
import { indexFile } from '../checkpoint.js';
import { ioError } from '../io-error.js';
import { OutputFile } from './output-file.js';
import { type PlannedTensor, planShards, type Shard } from './shard-plan.js';
import { UnwrittenTensors } from './unwritten-tensors.js';

interface WriterOptions {
  /** Bytes of data in one file at most; a larger tensor gets a file of its own. Default 5 GB. */
  readonly maxShardBytes?: number;
  /** What files are named after. Default 'model'. */
  readonly baseName?: string;
  /** Text entries for the header, besides `format: pt`. */
  readonly metadata?: Record<string, string>;
}

interface Target {
  readonly file: OutputFile;
  readonly offset: number;
  readonly bytes: number;
}

interface OpenShard {
  readonly plan: Shard;
  readonly file: OutputFile;
}

export class SafetensorsWriter {
  private readonly unwritten: UnwrittenTensors<Target>;

  private constructor(
    private readonly directory: string,
    private readonly shards: OpenShard[],
  ) {
    this.unwritten = new UnwrittenTensors(
      shards.flatMap(({ plan, file }) =>
        plan.tensors
          .flatMap(({ parts }) => parts)
          .map(({ name, offset, bytes }) => [name, { file, offset, bytes }] as const),
      ),
    );
  }

  /** Creates the files in an existing directory. Errors: ERR_ARGUMENT (plan), ERR_IO (unwritable, full, exists). */
  static async create(
    directory: string,
    plan: readonly PlannedTensor[],
    options: WriterOptions = {},
  ): Promise<SafetensorsWriter> {
    const { maxShardBytes = sharedDefaults.maxShardBytes, baseName, metadata = {} } = options;
    if (!(maxShardBytes > 0)) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected a positive number of bytes for maxShardBytes but received ${maxShardBytes}.`,
      );
    }
    const shards: OpenShard[] = [];
    for (const shard of planShards(plan, maxShardBytes, { format: 'pt', ...metadata }, baseName)) {
      const { file: name, header, fileBytes: bytes } = shard;
      try {
        const file = await OutputFile.create(directory, name, { header, bytes });
        shards.push({ plan: shard, file });
      } catch (error) {
        await abortAll(shards);
        throw error;
      }
    }
    return new SafetensorsWriter(directory, shards);
  }

  /** Writes the data of one planned tensor, or of one of its parts, once. Errors: ERR_ARGUMENT (name, size, second time), ERR_IO. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.unwritten.write(name, bytes, ({ file, offset }) => file.write(name, bytes, offset));
  }

  /** Makes everything durable and writes the index. Errors: ERR_ARGUMENT when a planned tensor was never written. */
  async close(): Promise<void> {
    try {
      this.unwritten.expectAllWritten();
      for (const { file } of this.shards) await file.close();
      if (this.shards.length > 1) await this.writeIndex();
    } catch (error) {
      throw ioError(error, 'finishing the checkpoint', this.directory);
    } finally {
      await this.abort();
    }
  }

  /** Closes the files as they are, incomplete; whoever owns the directory removes them. Harmless after close. */
  async abort(): Promise<void> {
    await abortAll(this.shards.splice(0));
  }

  private async writeIndex(): Promise<void> {
    const placed = this.shards.flatMap(({ plan }) =>
      plan.tensors.map(({ name, bytes }) => ({ name, bytes, file: plan.file })),
    );
    placed.sort((a, b) => (a.name < b.name ? -1 : 1));
    const index = {
      metadata: { total_size: placed.reduce((sum, { bytes }) => sum + bytes, 0) },
      weight_map: Object.fromEntries(placed.map(({ name, file }) => [name, file])),
    };
    const text = `${JSON.stringify(index, null, 2)}\n`;
    await writeFile(join(this.directory, indexFile), text, { flag: 'wx', flush: true });
  }
}

async function abortAll(shards: readonly OpenShard[]): Promise<void> {
  await Promise.all(shards.map(({ file }) => file.abort()));
}
