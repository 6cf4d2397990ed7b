// A report as `ballast quantize` would leave it, small and with known numbers.

import type { ReportedEvaluation, ReportedLayer, ReportInput } from '../../lib/report/index.js';

export const kinds = ['self_attn.q_proj', 'self_attn.out_proj', 'fc1', 'fc2'];
export const blocks = 3;

/** Errors fall from 4 % by a quarter a layer; the bias takes a fifth of each, and the last one is dropped. */
export function layers(): ReportedLayer[] {
  return Array.from({ length: blocks * kinds.length }, (_, i) => {
    const block = Math.floor(i / kinds.length);
    const error = 0.04 * 0.75 ** i;
    const biasKept = i !== blocks * kinds.length - 1;
    return {
      name: `model.decoder.layers.${block}.${kinds[i % kinds.length]}`,
      block,
      error,
      errorWithBias: biasKept ? error * 0.8 : error,
      biasEnergy: error * 0.2,
      biasKept,
      heldOutError: error * 1.1,
      heldOutErrorWithBias: error * (biasKept ? 0.9 : 1.2),
    };
  });
}

export function report(changes: Partial<ReportInput> = {}): ReportInput {
  return {
    ballast: '0.1.0',
    format: 'huggingface',
    model: './models/opt-7m',
    modelType: 'opt',
    fingerprint: 'sha256:0123',
    options: { method: 'gptq', bits: 3, sites: ['linear', 'block'], symmetric: false },
    environment: { node: 'v20.19.0', platform: 'linux-x64', device: 'cpu: avx2, 2 threads' },
    calibrationTokens: 32_768,
    heldOutTokens: 4096,
    bitsPerWeight: 3.0557,
    layers: layers(),
    seconds: { total: 10, load: 1, calibrate: 6, quantize: 2, write: 0 },
    memoryBytes: { load: 120e6, calibrate: 250e6, quantize: 240e6, write: 0 },
    peakMemoryBytes: 287_000_000,
    ...changes,
  };
}

export function evaluation(model: string, factor: number): ReportedEvaluation {
  const texts = { 'wikitext2-test.txt': 110.76, 'books-heldout.txt': 96.06 };
  const results = Object.entries(texts).map(([text, perplexity]) => ({
    text,
    perplexity: perplexity * factor,
  }));
  return { model, sequenceLength: 512, results };
}
