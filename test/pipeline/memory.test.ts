// Memory of a run in a process of its own: it holds one block and the hidden states, whatever the model's depth, and
// nothing remains of a run when the next one begins.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exampleModel, exampleText, temporaryFolder } from '../places.js';
import { quoted, runProgram } from './child.js';
import { randomOpt } from './random-opt.js';

const megabyte = 2 ** 20;

it('the peak is bounded by a block and the hidden states, not by the depth', async () => {
  const peakOf = async (blocks: number) => {
    const folder = await temporaryFolder();
    const model = await randomOpt(folder, { blocks, hiddenSize: 384, mlpSize: 1536 });
    const options = {
      ...{ output: join(folder, 'result'), calibration: exampleText, method: 'rtn', threads: 2 },
      ...{ samples: 4, sequenceLength: 64 },
    };
    const peak = await runProgram(`
      for await (const event of library.quantize(${quoted(model)}, ${quoted(options)})) {
        if (event.type === 'done') console.log(event.report.peakMemoryBytes);
      }`);
    return { peak: Number(peak), bytes: (await stat(join(model, 'model.safetensors'))).size };
  };
  const [shallow, deep] = [await peakOf(4), await peakOf(24)];
  // Twenty blocks of 7 MB more, read and written.
  const added = deep.bytes - shallow.bytes;
  expect(added).toBeGreaterThan(100 * megabyte);
  const grown = deep.peak - shallow.peak;
  expect(grown, `${grown / megabyte} MiB of ${added / megabyte}`).toBeLessThan(0.35 * added);
});

it('stays flat over repeated runs, aborted ones too', async () => {
  const folder = await temporaryFolder();
  const options = {
    ...{ output: join(folder, 'result'), overwrite: true, calibration: exampleText, threads: 2 },
    ...{ samples: 16, sequenceLength: 128, method: 'rtn' },
  };
  const sizes = await runProgram(
    `
      const sizes = [];
      for (let run = 0; run < 20; run++) {
        const events = library.quantize(${quoted(exampleModel)}, ${quoted(options)});
        for await (const { type } of events) if (run % 3 === 2 && type === 'block') break;
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        sizes.push(process.memoryUsage().rss);
      }
      console.log(JSON.stringify(sizes));`,
    ['--expose-gc'],
  );
  // The first runs fill caches and pools. A run reads and writes 4 MB of weights, besides states and statistics: one
  // copy of them left over by each of ten runs would show.
  const [early, late] = [(sizes as number[]).slice(5, 10), (sizes as number[]).slice(15)];
  const grown = Math.min(...late) - Math.min(...early);
  expect(grown, `${grown / megabyte} MiB: ${sizes}`).toBeLessThan(24 * megabyte);
});
