// Samples in a row are the text's first ones, however little of it is read for them.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTokenizer } from '../../lib/checkpoint/tokenizer/tokenizer.js';
import { joined } from '../../lib/joined.js';
import { readBlockModel } from '../../lib/models/index.js';
import { readCalibrationData } from '../../lib/pipeline/calibration-data.js';
import { resolveOptions } from '../../lib/pipeline/options/resolve-options.js';
import { exampleModel, exampleText, temporaryFolder } from '../places.js';

const sequenceLength = 32;

it.each([
  { documents: 1, samples: 20, heldOut: 0 },
  { documents: 700, samples: 100, heldOut: 0.1 },
])('$samples samples of $documents documents', async ({ documents, samples, heldOut }) => {
  const text = (await readFile(exampleText, 'utf8')).slice(0, 20_000);
  const size = Math.ceil(text.length / documents);
  const parts = Array.from({ length: documents }, (_, i) => text.slice(i * size, (i + 1) * size));
  const calibration = join(await temporaryFolder(), 'texts.jsonl');
  await writeFile(calibration, parts.map((part) => JSON.stringify({ text: part })).join('\n'));

  const { config, tensors } = await Checkpoint.open(exampleModel);
  const model = readBlockModel(config, new Set(tensors.keys()));
  const own = { samples, heldOut, sequenceLength, sampling: 'sequential' } as const;
  const { options } = resolveOptions({ output: 'none', calibration, ...own });
  const { fitted, heldOut: judges } = await readCalibrationData(exampleModel, model, options);

  const tokenizer = await loadTokenizer(exampleModel);
  onTestFinished(() => tokenizer.close());
  const all = joined(await Promise.all(parts.map((part) => tokenizer.encode(part))));
  const found = [...fitted, ...judges];
  expect(found).toHaveLength(Math.round(samples * (1 + heldOut)));
  for (const [i, sample] of found.entries()) {
    expect(sample).toEqual(all.slice(i * sequenceLength, (i + 1) * sequenceLength));
  }
});
