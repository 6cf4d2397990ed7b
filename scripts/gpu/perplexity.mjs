// Whether a GPU computes what the CPU does, from a model's files to its perplexity: the float model, and results of each
// method made and evaluated on either. The float model's and RTN's, whose codes read no inputs, must agree within 0.1 %; the
// others' codes in the middle between two may come out the other way.
//
//   node scripts/gpu/perplexity.mjs [--device cuda:0] [--model folder] [--calibration file] [--text file]
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { evaluate, quantize } from '../../dist/index.js';

const bundled = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda:0' },
    model: { type: 'string', default: bundled('model') },
    calibration: { type: 'string', default: bundled('data/demo-calibration.txt') },
    text: { type: 'string', default: bundled('data/demo-test.txt') },
  },
});
const sequenceLength = 512;
const bound = 1e-3;

async function perplexityOf(model, device) {
  const { results } = await evaluate(model, { texts: [values.text], sequenceLength, device });
  return results[0].perplexity;
}

async function quantized(method, device, output) {
  const { model, calibration } = values;
  const options = { calibration, sequenceLength, samples: 64, sampling: 'sequential', bits: 3 };
  for await (const _ of quantize(model, { ...options, output, method, device }));
  return output;
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'ballast-perplexity-'));
let failed = false;
try {
  console.log(`${values.model}, 3 bits: perplexity on cpu, on ${values.device}, difference`);
  for (const method of ['float', 'rtn', 'gptq', 'descent']) {
    const found = [];
    for (const device of ['cpu', values.device]) {
      const output = path.join(folder, `${method}-${found.length}`);
      const model = method === 'float' ? values.model : await quantized(method, device, output);
      found.push(await perplexityOf(model, device));
    }
    const [host, gpu] = found;
    const difference = gpu / host - 1;
    const bounded = method === 'float' || method === 'rtn';
    const bad = !(Math.abs(difference) <= (bounded ? bound : Number.POSITIVE_INFINITY));
    failed ||= bad;
    console.log(
      `  ${method.padEnd(8)} ${host.toFixed(3)} ${gpu.toFixed(3)} ${(100 * difference).toFixed(3)} %${bad ? '  FAILED' : ''}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
