// The library in worker threads, which come and go: loaded in several at once, ended after their work, and terminated
// in the middle of it. The process goes on and exits by itself.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { builtLibrary, exampleModel, exampleText, temporaryFolder } from '../places.js';
import { quoted, runProgram } from './child.js';

const options = { calibration: exampleText, samples: 8, sequenceLength: 128, method: 'rtn' };

/** What a worker runs: a quantization into `output`, telling how it goes. */
const work = `
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const library = await import(${quoted(`file://${builtLibrary}`)});
    for await (const event of library.quantize(${quoted(exampleModel)}, workerData)) {
      if (event.type === 'layer') parentPort.postMessage(event.layer.errorWithBias);
    }
  })();`;

const start = `
  import { Worker } from 'node:worker_threads';
  function start(options, onMessage) {
    const worker = new Worker(${quoted(work)}, { eval: true, execArgv: [], workerData: options });
    return new Promise((resolve, reject) => {
      worker.on('message', (message) => onMessage(message, worker));
      worker.on('error', reject);
      worker.on('exit', resolve);
    });
  }`;

it('two workers at once, and the main thread after them, get the same figures', async () => {
  const folder = await temporaryFolder();
  const outputs = ['a', 'b', 'c'].map((name) => ({ ...options, output: join(folder, name) }));
  const figures = (await runProgram(`${start}
    const figures = [[], [], []];
    const outputs = ${quoted(outputs)};
    const run = (i) => start(outputs[i], (error) => figures[i].push(error));
    const codes = await Promise.all([run(0), run(1)]);
    for await (const event of library.quantize(${quoted(exampleModel)}, outputs[2])) {
      if (event.type === 'layer') figures[2].push(event.layer.errorWithBias);
    }
    console.log(JSON.stringify({ codes, figures }));`)) as { codes: number[]; figures: number[][] };
  expect(figures.codes).toEqual([0, 0]);
  expect(figures.figures[0]).toHaveLength(24);
  expect(figures.figures[1]).toEqual(figures.figures[0]);
  expect(figures.figures[2]).toEqual(figures.figures[0]);
});

it('a worker that is terminated in the middle of its work takes nothing with it', async () => {
  const folder = await temporaryFolder();
  const at = (name: string) => quoted({ ...options, output: join(folder, name) });
  const seen = await runProgram(`${start}
    let seen = 0;
    for (const stop of [1, 7, 13]) {
      let messages = 0;
      await start(${at('killed')}, (_, worker) => {
        if (++messages === stop) worker.terminate();
      });
    }
    await start(${at('whole')}, () => seen++);
    console.log(seen);`);
  expect(seen).toBe(24);
  const left = await readdir(folder);
  expect(left).toContain('whole');
  // A thread that is cut off cannot clean up, but what it leaves does not look like a result.
  expect(left).not.toContain('killed');
});
