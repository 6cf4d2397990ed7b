// The whole job against the reference procedure (procedure.py, float32 torch, same samples), in turns on the same
// machine. Loading is counted on neither side; we write a checkpoint besides, which is not counted either.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { calibrationSamples } from '../../dist/calibration/samples.js';
import { loadTokenizer } from '../../dist/checkpoint/tokenizer/tokenizer.js';
import { bits, calibration, defaultModels, quantizeOnce } from '../job/quantize-once.mjs';
import { writeRandomOpt } from '../job/random-opt.mjs';
import { median } from '../measure.mjs';
import { TorchPeer } from '../torch-peer.mjs';

async function samplesFor(directory, { samples, sequence }) {
  const tokenizer = await loadTokenizer(directory);
  const tokens = await tokenizer.encode(readFileSync(calibration, 'utf8'));
  await tokenizer.close();
  const options = { samples, sequenceLength: sequence, sampling: 'sequential', seed: 0 };
  return calibrationSamples(tokens, options).map((sample) => Array.from(sample));
}

async function measureModel(directory, peer, options, folder) {
  const threads = options.threads || os.availableParallelism();
  const request = { model: directory, ids: await samplesFor(directory, options), bits, threads };
  const theirs = [];
  const rows = options.precisions.map((precision) => ({ precision, own: [] }));
  for (let pair = 0; pair < options.pairs; pair++) {
    theirs.push(await peer.ask(request));
    for (const { precision, own } of rows) {
      const job = { ...options, method: 'gptq', compensation: 'channel', precision, folder };
      const { seconds } = await quantizeOnce(directory, job);
      own.push(seconds.total - seconds.load - seconds.write);
    }
  }
  const reference = {
    gptq: median(theirs.map(({ gptq }) => gptq)),
    bias: median(theirs.map(({ bias }) => bias)),
  };
  return rows.map(({ precision, own }) => ({
    model: path.basename(directory),
    precision,
    seconds: median(own),
    reference,
    ratio: median(own.map((seconds, i) => (theirs[i].gptq + theirs[i].bias) / seconds)),
  }));
}

export async function measureReference(options) {
  if (options.python === undefined) throw new Error('The reference procedure needs --python.');
  const { python, threads, instructionSet } = options;
  const peer = new TorchPeer(python, 'reference/procedure.py', threads, instructionSet);
  const held = instructionSet === '' ? '' : `, both held to ${instructionSet}`;
  console.log(`\nreference procedure: float32 torch ${await peer.version()}${held}`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ballast-bench-'));
  const results = [];
  try {
    const models = defaultModels(options.models).map(({ directory }) => directory);
    for (const width of options.widths) {
      models.push(await writeRandomOpt(folder, { width, blocks: 2 }));
    }
    for (const model of models) {
      for (const result of await measureModel(model, peer, options, folder)) {
        results.push(result);
        const { precision, seconds, reference, ratio } = result;
        console.log(
          `  ${result.model}, ${precision}: ${seconds.toFixed(2)} s;`,
          `GPTQ ${reference.gptq.toFixed(2)} s and bias ${reference.bias.toFixed(2)} s;`,
          `${ratio.toFixed(1)} times as fast`,
        );
      }
    }
  } finally {
    peer.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return results;
}
