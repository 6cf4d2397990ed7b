// Evaluation as a function: what it refuses, what it tells, and that threads and mini-batches change nothing.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type EvaluateEvent, evaluate } from '../../lib/index.js';
import { quoted, runProgram } from '../pipeline/child.js';
import { randomOpt } from '../pipeline/random-opt.js';
import { exampleModel, exampleTestText, temporaryFolder } from '../places.js';

const shape = { blocks: 2, hiddenSize: 32, mlpSize: 64 };

/** The first bytes of the bundled test text. */
async function shortText(bytes: number): Promise<string> {
  const path = join(await temporaryFolder(), 'text.txt');
  await writeFile(path, (await readFile(exampleTestText, 'utf8')).slice(0, bytes));
  return path;
}

describe('evaluate', () => {
  it('gives the same figure with one thread and with several', async () => {
    const texts = [await shortText(20_000)];
    const run = (threads: number) =>
      evaluate(exampleModel, { texts, sequenceLength: 128, threads });
    const [one, three] = [await run(1), await run(3)];
    expect(three).toEqual(one);
    expect(one.results[0]?.tokens).toBe((one.results[0]?.windows ?? 0) * 127);
  });

  it('tells its steps in order, for each text', async () => {
    const texts = [await shortText(4_000), await shortText(3_000)];
    const model = await randomOpt(await temporaryFolder(), shape);
    const events: EvaluateEvent[] = [];
    await evaluate(model, { texts, sequenceLength: 64, onProgress: (event) => events.push(event) });
    const steps = events.map((event) => (event.type === 'step' ? event.done : event.type));
    expect(steps).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    expect(events.every((event) => event.type === 'step' && event.total === 3)).toBe(true);
  });

  it('refuses a sequence that is longer than the model’s positions', async () => {
    const texts = [await shortText(20_000)];
    const run = evaluate(exampleModel, { texts, sequenceLength: 1024 });
    await expect(run).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
      message: expect.stringContaining('Expected 2 to 512 tokens'),
    });
  });

  it('names the tensor that holds NaN', async () => {
    const edit = (name: string, values: Float32Array) => {
      if (name === 'fc1.bias') values[3] = Number.NaN;
    };
    const model = await randomOpt(await temporaryFolder(), { ...shape, edit });
    const run = evaluate(model, { texts: [await shortText(4_000)], sequenceLength: 64 });
    await expect(run).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(/layers\.0\.fc1\.bias in .* holds 1 values that are NaN/),
    });
  });

  it('says of a text that no thread has the memory to tokenize what to do', async () => {
    const text = join(await temporaryFolder(), 'long.txt');
    // Without a space there is no place to cut it at.
    await writeFile(text, 'It,was,a,dark,and,stormy,night.,'.repeat(100_000));
    const error = await runProgram(
      `const error = await library.evaluate(${quoted(exampleModel)}, { texts: [${quoted(text)}] }).catch((reason) => reason);
      console.log(JSON.stringify({ code: error.code, message: error.message }));`,
      ['--max-old-space-size=40'],
    );
    expect(error).toMatchObject({
      code: 'ERR_MEMORY',
      message: expect.stringMatching(
        /3200000 characters takes more memory .*; cut it into documents/,
      ),
    });
  });

  it('stops at an abort signal', async () => {
    const controller = new AbortController();
    const run = evaluate(exampleModel, {
      texts: [exampleTestText],
      sequenceLength: 128,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});
