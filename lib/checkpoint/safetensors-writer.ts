// Writes a checkpoint whose shapes are known beforehand: headers first, then each tensor at its planned place, in
// whatever order it is ready. So memory holds one tensor. Files are as Hugging Face names them, with an index when there
// is more than one.

import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BallastError } from '../errors.js';
import { indexFile } from './checkpoint.js';
import { ioError } from './io-error.js';
import { type PlannedTensor, planShards, type Shard } from './shard-plan.js';

export interface WriterOptions {
  /** Bytes of data in one file at most; a larger tensor gets a file of its own. Default 5 GB. */
  readonly maxShardBytes?: number;
  /** What files are named after. Default 'model'. */
  readonly baseName?: string;
  /** Text entries for the header, besides `format: pt`. */
  readonly metadata?: Record<string, string>;
}

interface Target {
  readonly shard: OpenShard;
  readonly offset: number;
  readonly bytes: number;
}

interface OpenShard {
  readonly plan: Shard;
  readonly handle: FileHandle;
  /** Written since the file was last made durable. */
  pending: number;
}

const defaultShardBytes = 5e9;

/** A large file becomes durable as it grows: at the end the disk would be waited for with all of it. */
const mostPendingBytes = 1 << 28;

export class SafetensorsWriter {
  private readonly missing: Map<string, Target>;

  private constructor(
    private readonly directory: string,
    private readonly shards: OpenShard[],
  ) {
    this.missing = new Map(
      shards.flatMap((shard) =>
        shard.plan.tensors.map(({ name, offset, bytes }) => [name, { shard, offset, bytes }]),
      ),
    );
  }

  /** Creates the files in an existing directory. Errors: ERR_ARGUMENT (plan), ERR_IO (unwritable, full, exists). */
  static async create(
    directory: string,
    plan: readonly PlannedTensor[],
    options: WriterOptions = {},
  ): Promise<SafetensorsWriter> {
    const { maxShardBytes = defaultShardBytes, baseName, metadata = {} } = options;
    if (!(maxShardBytes > 0)) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected a positive number of bytes for maxShardBytes but received ${maxShardBytes}.`,
      );
    }
    const shards: OpenShard[] = [];
    for (const shard of planShards(plan, maxShardBytes, { format: 'pt', ...metadata }, baseName)) {
      const path = join(directory, shard.file);
      try {
        const handle = await open(path, 'wx');
        shards.push({ plan: shard, handle, pending: 0 });
        await writeAt(handle, shard.header, 0);
        await handle.truncate(shard.fileBytes);
      } catch (error) {
        await closeAll(shards);
        throw ioError(error, `creating ${shard.file}`, path);
      }
    }
    return new SafetensorsWriter(directory, shards);
  }

  /** Writes the data of one planned tensor, once. Errors: ERR_ARGUMENT (name, size, second time), ERR_IO. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const target = this.missing.get(name);
    if (target === undefined) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected a planned tensor that is not yet written but received '${name}'.`,
      );
    }
    if (bytes.byteLength !== target.bytes) {
      throw new BallastError(
        'ERR_ARGUMENT',
        `Expected ${target.bytes} bytes for tensor '${name}' but received ${bytes.byteLength}.`,
      );
    }
    this.missing.delete(name);
    const { shard } = target;
    const { file } = shard.plan;
    try {
      await writeAt(shard.handle, bytes, target.offset);
      shard.pending += target.bytes;
      if (shard.pending > mostPendingBytes) {
        shard.pending = 0;
        await shard.handle.datasync();
      }
    } catch (error) {
      this.missing.set(name, target);
      throw ioError(error, `writing tensor '${name}'`, join(this.directory, file));
    }
  }

  /** Makes everything durable and writes the index. Errors: ERR_ARGUMENT when a planned tensor was never written. */
  async close(): Promise<void> {
    try {
      const [name] = this.missing.keys();
      if (name !== undefined) {
        throw new BallastError(
          'ERR_ARGUMENT',
          `Expected every planned tensor to be written but '${name}' and ${this.missing.size - 1} more are not.`,
        );
      }
      for (const { handle } of this.shards) await handle.sync();
      if (this.shards.length > 1) await this.writeIndex();
    } catch (error) {
      throw ioError(error, 'finishing the checkpoint', this.directory);
    } finally {
      await this.abort();
    }
  }

  /** Closes the files as they are, incomplete; whoever owns the directory removes them. Harmless after close. */
  async abort(): Promise<void> {
    await closeAll(this.shards.splice(0));
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

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const left = bytes.byteLength - done;
    const { bytesWritten } = await handle.write(bytes, done, left, position + done);
    done += bytesWritten;
  }
}

async function closeAll(shards: readonly OpenShard[]): Promise<void> {
  await Promise.allSettled(shards.map(({ handle }) => handle.close()));
}
