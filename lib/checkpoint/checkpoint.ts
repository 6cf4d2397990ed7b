// A Hugging Face model directory: config.json and safetensors weights, one file or shards named by an index. Only
// headers are read here; the device maps the data itself. Index and shards must agree completely, since a tensor
// that is silently absent or present twice would give a model that runs and is wrong.

import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { BallastError } from '../errors.js';
import { isRecord, readJsonObject } from './bounded-json.js';
import { fingerprintOf } from './fingerprint.js';
import { errnoOf, ioError } from './io-error.js';
import { readHeader } from './safetensors-header.js';
import { rowCount, rowsOf, type TensorInfo } from './tensor-info.js';

const singleFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';

/** Consecutive rows of the tensor `source`, all axes but the last taken as one, as a tensor; all of its rows are parts. */
export interface TensorPart {
  readonly name: string;
  readonly source: string;
  readonly firstRow: number;
  readonly rows: number;
  /** Whether the tensor is one row alone and not a matrix of one. */
  readonly isVector?: boolean;
}

export class Checkpoint {
  private constructor(
    /** Absolute path. */
    readonly directory: string,
    /** config.json as it stands; of another view, what that is to be seen as. */
    readonly config: Record<string, unknown>,
    /** By name, in the order of files and headers. */
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    /** The checkpoint as it lies there, where this is another view of it. */
    private readonly source?: Checkpoint,
  ) {}

  /**
   * Opens a model directory and checks every header in it. Errors: ERR_CHECKPOINT for anything missing, damaged or
   * contradictory, ERR_IO for what cannot be read.
   */
  static async open(directory: string): Promise<Checkpoint> {
    const path = resolve(directory);
    const names = await listDirectory(path);
    const config = await readJsonObject(join(path, 'config.json'));
    if (config === undefined) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected a model directory with config.json but ${path} has none; check the path.`,
      );
    }
    if (names.has(singleFile)) {
      const { tensors } = await readHeader(join(path, singleFile));
      return new Checkpoint(path, config, tensors);
    }
    if (names.has(indexFile)) return new Checkpoint(path, config, await readShards(path, names));
    throw noWeights(path, names);
  }

  /** The tensor of that name. Error ERR_CHECKPOINT when the checkpoint has none. */
  tensor(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info !== undefined) return info;
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected tensor '${name}' in ${this.directory} but it is not there; the export is incomplete, or config.json ` +
        'belongs to another model.',
    );
  }

  /** Identifies config and weights, whatever the path, file times and sharding; see `fingerprintOf`. */
  fingerprint(): Promise<string> {
    return this.source?.fingerprint() ?? fingerprintOf(this.config, this.tensors.values());
  }

  /** The same files under another config.json and as other tensors; the fingerprint stays. */
  seenAs(config: Record<string, unknown>, tensors: ReadonlyMap<string, TensorInfo>): Checkpoint {
    return new Checkpoint(this.directory, config, tensors, this);
  }

  /**
   * The same files with rows of some tensors under names of their own instead; the fingerprint stays. Error
   * ERR_CHECKPOINT for a tensor that is absent or has other rows than its parts together.
   */
  takenApart(parts: readonly TensorPart[]): Checkpoint {
    if (parts.length === 0) return this;
    const tensors = new Map(this.tensors);
    const rows = new Map<string, number>();
    for (const { name, source, firstRow, rows: count, isVector = false } of parts) {
      const info = this.tensor(source);
      rows.set(source, (rows.get(source) ?? rowCount(info)) - count);
      tensors.delete(source);
      const part = rowsOf(info, name, firstRow, count);
      tensors.set(name, isVector ? { ...part, shape: part.shape.slice(-1) } : part);
    }
    const [odd, left = 0] = [...rows].find(([, rest]) => rest !== 0) ?? [];
    if (odd === undefined) return this.seenAs(this.config, tensors);
    const info = this.tensor(odd);
    const held = rowCount(info);
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected ${held - left} rows of ${odd}, as config.json says, but ${info.file} holds ${held}, [${info.shape.join(', ')}]; the file ` +
        'is damaged, config.json belongs to another model, or the program that saved it turned the axes: take the published checkpoint.',
    );
  }
}

async function readShards(directory: string, names: Set<string>): Promise<Map<string, TensorInfo>> {
  // 1. The index: tensor name -> file name.
  const index = await readJsonObject(join(directory, indexFile));
  const listed = Object.entries(isRecord(index?.weight_map) ? index.weight_map : {});
  if (listed.length === 0) throw contradiction(directory, 'its weight_map is missing or empty');
  const fileOf = new Map<string, string>();
  for (const [tensor, file] of listed) {
    // A plain name: an index may not reach outside its directory.
    if (typeof file !== 'string' || file !== basename(file) || file.includes('\\')) {
      throw contradiction(
        directory,
        `tensor '${tensor}' is in ${JSON.stringify(file)}, not a file name`,
      );
    }
    if (!names.has(file)) {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Shard ${file} (with tensor '${tensor}') is missing in ${directory}; download it again.`,
      );
    }
    fileOf.set(tensor, file);
  }

  // 2. Each shard; a tensor may be in one only.
  const tensors = new Map<string, TensorInfo>();
  for (const file of [...new Set(fileOf.values())].sort()) {
    const header = await readHeader(join(directory, file));
    for (const [name, info] of header.tensors) {
      const other = tensors.get(name);
      if (other !== undefined) {
        throw contradiction(
          directory,
          `tensor '${name}' is in both ${basename(other.file)} and ${file}`,
        );
      }
      tensors.set(name, info);
    }
  }

  // 3. What the index lists must be where it says.
  for (const [name, file] of fileOf) {
    const info = tensors.get(name);
    if (info === undefined || basename(info.file) !== file) {
      const found = info === undefined ? 'in no shard' : `in ${basename(info.file)}`;
      throw contradiction(directory, `tensor '${name}' is listed in ${file} but lies ${found}`);
    }
  }
  return tensors;
}

async function listDirectory(path: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') {
      throw new BallastError(
        'ERR_CHECKPOINT',
        `Expected a model directory but ${path} is a file; pass the directory that holds config.json.`,
        { cause: error },
      );
    }
    throw ioError(error, 'opening the model directory', path);
  }
}

function contradiction(directory: string, problem: string): BallastError {
  return new BallastError(
    'ERR_CHECKPOINT',
    `${indexFile} in ${directory} cannot be used: ${problem}; download or export the model again.`,
  );
}

/** Weights that lie there in another form, and what makes safetensors of them. */
const otherWeights: readonly { readonly file: RegExp; readonly remedy: string }[] = [
  {
    file: /^adapter_model\.(safetensors|bin)$/,
    remedy: 'which only changes another model; merge the two first (in peft: merge_and_unload())',
  },
  {
    file: /\.(bin|pt|pth)(\.index\.json)?$/,
    remedy:
      'which can run code when it is read; convert it to safetensors first (in transformers: ' +
      'AutoModelForCausalLM.from_pretrained(directory).save_pretrained(directory))',
  },
  { file: /\.gguf$/, remedy: 'which is made from a checkpoint; pass the checkpoint' },
  {
    file: /\.safetensors$/,
    remedy:
      'whose tensors may have names of their own; pass the model as transformers saves it (save_pretrained)',
  },
];

function noWeights(directory: string, names: Set<string>): BallastError {
  const found = otherWeights.flatMap(({ file, remedy }) => {
    const name = [...names].sort().find((candidate) => file.test(candidate));
    return name === undefined ? [] : [`${directory} has only ${name}, ${remedy}.`];
  });
  const [problem = `${directory} has neither ${singleFile} nor ${indexFile}; check the path.`] =
    found;
  return new BallastError('ERR_CHECKPOINT', `Expected safetensors weights but ${problem}`);
}
