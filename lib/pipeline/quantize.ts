// The main job: a checkpoint in, a quantized and compensated checkpoint out, one block at a time.

import { findFormat, storedBitsOf } from '../export/index.js';
import { quantizeBlock } from './blocks/quantize-block.js';
import type { CalibrationData } from './calibration-data.js';
import { enterModel } from './enter-model.js';
import type { LayerReport, OutputReport, QuantizeEvent, RunReport } from './events.js';
import type { QuantizeOptions } from './options/options.js';
import { ResultWriter } from './result-writer.js';
import type { Run } from './run.js';
import { reportOf } from './run-report.js';
import { compensateModel } from './sites/model-site.js';
import { withRun } from './with-run.js';

/**
 * Quantizes `model` (a directory or a hub id) and writes the result to `options.output`. Iterate to advance; the
 * iterator returns the report. Nothing is printed, and the event loop is never blocked.
 *
 * Errors are BallastError: ERR_ARGUMENT, ERR_CHECKPOINT, ERR_DATA, ERR_UNSUPPORTED, ERR_IO, ERR_NUMERIC, ERR_MEMORY,
 * and ERR_ABORTED when `options.signal` fires. After an error, or when the iteration is left early, nothing is left
 * at `options.output`.
 *
 * @example
 * for await (const event of quantize('models/opt-125m', { output: 'out', calibration: 'text.txt', bits: 3 })) {
 *   if (event.type === 'block') console.log(event.index + 1, 'of', event.blocks);
 * }
 */
export async function* quantize(
  model: string,
  options: QuantizeOptions,
): AsyncGenerator<QuantizeEvent, RunReport> {
  return yield* withRun(model, options, quantizeBlocks);
}

/** Quantizes every block of a run and writes the result. */
export async function* quantizeBlocks(
  run: Run,
  data: CalibrationData,
): AsyncGenerator<QuantizeEvent, RunReport> {
  const { checkpoint, model: definition, clock } = run;
  const writer = await ResultWriter.open(run);
  const layers: LayerReport[] = [];
  const outputs: OutputReport[] = [];
  const bits = storedBitsOf(findFormat(run.options.format), run.options);
  let weightBits = 0;
  let weights = 0;
  try {
    using paths = await clock.measure('load', () => enterModel(run, data));
    for (let index = 0; index < definition.blocks; index++) {
      const begin = performance.now();
      const before = clock.phases();
      const finished: LayerReport[] = [];
      using block = await quantizeBlock(run, index, paths, ({ report, codes }) => {
        finished.push(report);
        if (codes === undefined) return;
        weightBits += codes.codes.elements * bits.code + codes.scales.elements * bits.group;
        weights += codes.codes.elements;
      });
      await clock.measure('write', () => writer.writeBlock(block));
      for (const layer of finished) yield { type: 'layer', layer };
      layers.push(...finished);
      if (block.bias !== undefined) outputs.push(block.bias.report);
      const seconds = (performance.now() - begin) / 1000;
      const phases = clock.phases(before);
      yield { type: 'block', index, blocks: definition.blocks, seconds, phases };
      run.throwIfAborted();
    }
    using bias = await clock.measure('compensate', () => compensateModel(run, paths));
    if (bias !== undefined) outputs.push(bias.report);
    const fingerprint = await checkpoint.fingerprint();
    const bitsPerWeight = weightBits / weights;
    const outcome = { layers, outputs, bitsPerWeight, fingerprint };
    const replaced = bias?.replaced ?? new Map();
    const report = await writer.finish(replaced, () => reportOf(run, data, outcome));
    yield { type: 'done', output: run.options.output, report };
    return report;
  } finally {
    await writer.discard();
  }
}
