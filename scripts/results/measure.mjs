// Runs one cell and keeps what it gave. Each cell is a file of the cache, written when it is whole, so that a run may be
// stopped and taken up at any time; perplexities are kept by the content of the weights, since some cells (RTN without a
// bias, whatever the seed) are the same model.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { BallastError, evaluate, quantize } from 'ballast';
import { sequenceLength, texts } from './grid.mjs';

export class Measurements {
  constructor({ cache, shared }) {
    this.cache = cache;
    this.shared = shared;
  }

  model = (name) => path.join(this.shared, 'models', name);

  /** What is known of a cell; undefined where it has not been run with these options. */
  find({ id, options }) {
    const found = this.#read(`cells/${id}.json`);
    return found && JSON.stringify(found.options) === JSON.stringify(options) ? found : undefined;
  }

  /** Perplexities of an unquantized model. */
  findFloat(name) {
    return this.#read(`float/${name}.json`);
  }

  async runFloat(name) {
    this.#write(`float/${name}.json`, { perplexities: await this.#evaluate(this.model(name)) });
  }

  /** A sentence where this version of the library does not know what the cell asks for. */
  async run({ id, model, options }) {
    const output = path.join(this.cache, 'model');
    rmSync(output, { recursive: true, force: true });
    let report;
    try {
      const calibration = path.join(this.shared, 'data/books-calib.txt');
      for await (const event of quantize(this.model(model), { ...options, output, calibration })) {
        if (event.type === 'done') report = event.report;
      }
    } catch (error) {
      if (error instanceof BallastError && error.code === 'ERR_ARGUMENT') return error.message;
      throw error;
    }
    const digest = digestOf(output);
    const perplexities =
      this.#read(`perplexities/${digest}.json`) ?? (await this.#evaluate(output));
    this.#write(`perplexities/${digest}.json`, perplexities);
    rmSync(output, { recursive: true, force: true });
    const { layers, seconds, bitsPerWeight, environment, ballast } = report;
    this.#write(`cells/${id}.json`, {
      ...{ id, options, perplexities, layers, seconds, bitsPerWeight, environment, ballast },
    });
    return undefined;
  }

  async #evaluate(directory) {
    const { results } = await evaluate(directory, {
      texts: texts.map((text) => path.join(this.shared, 'data', text)),
      sequenceLength,
    });
    return results.map(({ perplexity }) => perplexity);
  }

  #read(name) {
    const file = path.join(this.cache, name);
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  }

  #write(name, value) {
    const file = path.join(this.cache, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(`${file}.partial`, JSON.stringify(value));
    renameSync(`${file}.partial`, file);
  }
}

function digestOf(directory) {
  const hash = createHash('sha256');
  const files = readdirSync(directory).filter((name) => name.endsWith('.safetensors'));
  for (const name of files.sort())
    hash.update(name).update(readFileSync(path.join(directory, name)));
  return hash.digest('hex');
}
