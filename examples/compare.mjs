// What compensation is for, in one table: the bundled model at 3 bits, rounded to nearest, by GPTQ and by descent (the
// default), without and with a bias per channel. `npm start` runs it. The results stay in build/examples, ready for `ballast inspect`.

import { fileURLToPath } from 'node:url';
import { evaluate, inspect, quantize } from 'ballast';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const model = at('model');
const text = at('data/demo-test.txt');
const sequenceLength = 512;
const bits = 3;

const columns = ['', 'perplexity', 'size', 'seconds'];
const widths = [28, 12, 10, 10];

const line = (cells) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('');

const perplexityOf = async (directory) => {
  const { results } = await evaluate(directory, { texts: [text], sequenceLength });
  return results[0].perplexity;
};

/** Runs one quantization to its end and gives its last event, which carries the report. */
async function run(method, compensation) {
  const events = quantize(model, {
    output: at(`../build/examples/${method}-${bits}bit-${compensation}`),
    overwrite: true,
    calibration: at('data/demo-calibration.txt'),
    samples: 64,
    sampling: 'sequential',
    sequenceLength,
    method,
    bits,
    compensation,
  });
  let done;
  for await (const event of events) if (event.type === 'done') done = event;
  return done;
}

const { bytes, parameters, linearParameters } = await inspect(model);
const bytesPerWeight = bytes / parameters;
/** With the linears' codes packed; embeddings stay as they are. */
const packedSize = ({ bitsPerWeight }) =>
  (parameters - linearParameters) * bytesPerWeight + (linearParameters * bitsPerWeight) / 8;
const megabytes = (count) => `${(count / 1e6).toFixed(2)} MB`;

console.log(
  `${bits} bits per weight, perplexity on ${sequenceLength}-token windows of demo-test.txt (lower is better)\n`,
);
console.log(line(columns));
console.log(line(['float', (await perplexityOf(model)).toFixed(1), megabytes(bytes), '']));
const runs = ['rtn', 'gptq', 'descent'].flatMap((method) =>
  ['none', 'channel'].map((compensation) => [method, compensation]),
);
for (const [method, compensation] of runs) {
  const { output, report } = await run(method, compensation);
  console.log(
    line([
      compensation === 'none' ? method : `${method} + bias per ${compensation}`,
      (await perplexityOf(output)).toFixed(1),
      megabytes(packedSize(report)),
      report.seconds.total.toFixed(1),
    ]),
  );
}
const share = Math.round((linearParameters / parameters) * 100);
console.log(
  `\nSize: codes packed. The linears are ${share} % of this model, of a large one nearly all.`,
);
