// One run of the main job, its result thrown away, and the real models that such runs are made on.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { quantize } from '../../dist/index.js';

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));

export const bits = 3;

/** Books where they lie beside the clone, else the bundled excerpt. */
export const calibration = [
  path.join(shared, 'data/books-calib.txt'),
  fileURLToPath(new URL('../../examples/data/demo-calibration.txt', import.meta.url)),
].find(existsSync);

/** OPT models by their directories, comma-separated; opt-7m where it is there and nothing is said. */
export function defaultModels(models = path.join(shared, 'models/opt-7m')) {
  return models
    .split(',')
    .filter((directory) => directory !== '' && existsSync(directory))
    .map((directory) => {
      const config = JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8'));
      return { directory, width: config.hidden_size };
    });
}

/** The run's report. */
export async function quantizeOnce(model, options) {
  const { folder, compensation, precision, method, samples, sequence, threads } = options;
  const output = mkdtempSync(path.join(folder, 'out-'));
  let report;
  const events = quantize(model, {
    ...{ output, calibration, samples, method, precision, compensation },
    ...(threads > 0 ? { threads } : {}),
    sequenceLength: sequence,
    sampling: 'sequential',
    heldOut: 0,
    bits,
  });
  for await (const event of events) {
    if (event.type === 'done') report = event.report;
  }
  rmSync(output, { recursive: true });
  return report;
}
