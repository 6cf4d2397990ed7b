// A result appears whole or not at all: everything is written to `<target>.partial-<random>` beside the target, on
// the same file system, and renamed at the end. A failed run leaves nothing that looks like a model.

import { randomBytes } from 'node:crypto';
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { BallastError } from '../../errors.js';
import { companionFiles } from '../companion-files.js';
import { errnoOf, ioError, isMissing } from '../io-error.js';
import { floatFields, stringifyWithFloats } from '../json-floats.js';
import { makeDirectories } from './make-directories.js';
import { expectResultAlone } from './result-files.js';

interface OutputOptions {
  /** Replace an existing result; a directory that holds anything else is never replaced. Default false. */
  readonly overwrite?: boolean;
  /** A directory that is read during the run (the source model) and so must not be replaced. */
  readonly source?: string;
}

export class OutputDirectory {
  private constructor(
    /** Where the result will be, absolute; behind a symbolic link, where that leads. */
    readonly target: string,
    /** Where to write now. */
    readonly path: string,
    private readonly overwrite: boolean,
  ) {}

  /** Refuses what `create` would refuse, so that a run need not work for hours first. Errors: ERR_ARGUMENT, ERR_IO. */
  static async expectUsable(target: string, options: OutputOptions): Promise<void> {
    const { overwrite = false, source } = options;
    const path = await realPathOf(target);
    if (overwrite && source !== undefined) await checkSource(path, source);
    await checkTarget(path, overwrite);
    await expectWritable(dirname(path)).catch((error: unknown) => {
      throw ioError(error, 'creating the output directory', path);
    });
  }

  /** Errors: ERR_ARGUMENT when the target may not be used, ERR_IO when nothing can be written there. */
  static async create(target: string, options: OutputOptions = {}): Promise<OutputDirectory> {
    await OutputDirectory.expectUsable(target, options);
    const absolute = await realPathOf(target);
    const path = `${absolute}.partial-${randomBytes(4).toString('hex')}`;
    try {
      await makeDirectories(dirname(absolute));
      await mkdir(path);
    } catch (error) {
      throw ioError(error, 'creating the output directory', absolute);
    }
    return new OutputDirectory(absolute, path, options.overwrite ?? false);
  }

  /** Copies tokenizer, generation config and the like; those that do not exist are skipped. Returns what was copied. */
  async copyCompanions(source: string, names = companionFiles): Promise<string[]> {
    const copied: string[] = [];
    for (const name of names) {
      try {
        await copyAsNew(join(source, name), join(this.path, name));
        copied.push(name);
      } catch (error) {
        if (!isMissing(error)) throw ioError(error, `copying ${name}`, this.target);
      }
    }
    return copied;
  }

  /** Writes an indented JSON file. */
  writeJson(name: string, value: unknown): Promise<void> {
    return this.#write(name, JSON.stringify(value, null, 2));
  }

  /** Writes config.json; what the one in `source` writes as floats stays so. */
  async writeConfig(value: unknown, source: string): Promise<void> {
    const path = join(source, 'config.json');
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw ioError(error, 'reading config.json', path);
    });
    await this.#write('config.json', stringifyWithFloats(value, floatFields(text)));
  }

  async #write(name: string, text: string): Promise<void> {
    try {
      await writeFile(join(this.path, name), `${text}\n`, { flush: true });
    } catch (error) {
      throw ioError(error, `writing ${name}`, this.target);
    }
  }

  /** Puts the result in place. On failure what stood there before stands there again. */
  async commit(): Promise<void> {
    await checkTarget(this.target, this.overwrite);
    const previous = `${this.path}.previous`;
    try {
      const replaced = await renameIfThere(this.target, previous);
      try {
        await rename(this.path, this.target);
      } catch (error) {
        if (replaced) await rename(previous, this.target);
        throw error;
      }
      await syncDirectory(dirname(this.target));
      if (replaced) await rm(previous, { recursive: true, force: true });
    } catch (error) {
      throw ioError(error, 'putting the result in place', this.target);
    }
  }

  /** Removes what was written; harmless after commit. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** With the mode of a new file, where the source may be read-only. */
async function copyAsNew(from: string, to: string): Promise<void> {
  const source = await open(from);
  try {
    await writeFile(to, source.createReadStream({ autoClose: false }), { flag: 'wx', flush: true });
  } finally {
    await source.close();
  }
}

async function checkTarget(target: string, overwrite: boolean): Promise<void> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (isMissing(error)) return;
    throw ioError(error, 'opening the output directory', target);
  }
  await checkMount(target);
  if (names.length === 0) return;
  if (!overwrite) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected a new or empty output directory but ${target} has files in it; choose another or ask to overwrite it.`,
    );
  }
  await expectResultAlone(target, names);
}

/** What is mounted cannot be renamed, nor anything put in its place. */
async function checkMount(target: string): Promise<void> {
  const [own, parent] = await Promise.all([stat(target), stat(dirname(target))]);
  if (own.dev === parent.dev) return;
  throw new BallastError(
    'ERR_ARGUMENT',
    `Expected an output directory that can be put in place whole but ${target} is where a volume is mounted; choose a ` +
      `directory in it, such as ${join(target, 'result')}.`,
  );
}

/** Where entries can be made: in the directory or, if it has yet to be made, in the nearest above it that is there. */
async function expectWritable(directory: string): Promise<void> {
  try {
    // The dot tells a file from a directory.
    await access(`${directory}${sep}.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (!isMissing(error) || dirname(directory) === directory) throw error;
    await expectWritable(dirname(directory));
  }
}

async function checkSource(target: string, source: string): Promise<void> {
  const from = await realPathOf(source);
  if (from === target || from.startsWith(`${target}${sep}`)) {
    throw new BallastError(
      'ERR_ARGUMENT',
      `Expected an output directory other than the model that is read but received ${target}; choose another.`,
    );
  }
}

/** Of a path that does not exist, as it is. */
async function realPathOf(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

// A rename is durable only once its directory is; file systems that cannot say so are left as they are.
async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await open(path);
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!['EINVAL', 'EISDIR', 'EPERM', 'EACCES', 'ENOTSUP'].includes(errnoOf(error) ?? ''))
      throw error;
  }
}
