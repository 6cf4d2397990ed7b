// Float models against an independent PyTorch program: perplexities of test texts (one, or three
// with BALLAST_FULL=1) and logits of one prompt.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { Device } from '../../lib/device/index.js';
import { evaluate } from '../../lib/index.js';
import { largestDifference, logitsOf, openModel } from '../models/tiny.js';
import { goldenTexts } from '../pipeline/runs.js';
import { hasShared, sharedGolden, sharedModel, sharedText } from '../places.js';

const texts = goldenTexts;
/** Whole texts take minutes on a busy machine. */
vi.setConfig({ testTimeout: 600_000 });

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

describe.skipIf(!hasShared)('opt-7m, float', () => {
  it(`perplexities on ${texts.join(', ')} are within 0.05 %`, async () => {
    const golden = JSON.parse(readFileSync(sharedGolden('opt-7m.json'), 'utf8'));
    const { results } = await evaluate(sharedModel('opt-7m'), {
      texts: texts.map(sharedText),
      sequenceLength: 512,
    });
    expect(results.map(({ text }) => text)).toEqual(texts.map((text) => `${text}.txt`));
    results.forEach(({ perplexity, windows }, i) => {
      const text = texts[i] ?? '';
      expect(windows).toBe(golden.windows[text]);
      const ratio = perplexity / golden.float[text];
      expect(Math.abs(ratio - 1), `${text}: ${perplexity}`).toBeLessThan(5e-4);
    });
  });

  it('logits of the golden prompt are within 2e-3', async () => {
    const file = sharedGolden('opt-7m-logits.safetensors');
    const { tensors } = await readHeader(file);
    const bytes = readFileSync(file);
    const part = (name: string) => {
      const { offset = 0, bytes: length = 0 } = tensors.get(name) ?? {};
      return Uint8Array.from(bytes.subarray(offset, offset + length)).buffer;
    };
    const ids = new Int32Array(part('input_ids'));
    const checkpoint = await Checkpoint.open(sharedModel('opt-7m'));
    const model = openModel(checkpoint);
    const logits = await logitsOf(device, checkpoint, model, ids, ids.length);
    expect(logits).toHaveLength(64 * 8192);
    expect(largestDifference(logits, new Float32Array(part('logits')))).toBeLessThan(2e-3);
  });
});
