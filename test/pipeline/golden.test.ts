// The golden protocol on trained models: perplexities and block errors of quantized models against an independent
// PyTorch program. BALLAST_FULL=1 evaluates every scheme, and all on three texts instead of one.

import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { evaluate, type LayerReport, type QuantizeOptions } from '../../lib/index.js';
import { hasShared, sharedGolden, sharedModel, sharedText } from '../places.js';
import { finish, firstBlock, full, goldenTexts, mean } from './runs.js';

const texts = goldenTexts;
/** Whole texts take minutes on a busy machine. */
vi.setConfig({ testTimeout: 600_000 });
const on = `on ${texts.join(', ')}`;

type Perplexities = Readonly<Record<string, number>>;
interface Golden {
  /** By scheme and method, such as 'w3g-1 gptq+channel'. */
  readonly quantized: Readonly<Record<string, Perplexities>>;
  readonly block0: Readonly<Record<string, Readonly<Record<string, BlockFigures>>>>;
}
interface BlockFigures {
  readonly error: number;
  readonly error_with_bias: number;
  readonly bias_norm2: number;
}

const goldenOf = (model: string): Golden =>
  JSON.parse(readFileSync(sharedGolden(`${model}.json`), 'utf8'));

const protocol = {
  calibration: sharedText('books-calib'),
  samples: 64,
  sequenceLength: 512,
  sampling: 'sequential',
  propagate: 'float',
  fit: 'sequential',
  trueSequential: false,
  heldOut: 0,
} as const;
/** Rounding reads no inputs: errors aside, any calibration gives the same weights. */
const shortProtocol = { ...protocol, samples: 2 } as const;

const schemes = {
  'w4g-1': { bits: 4 },
  'w3g-1': { bits: 3 },
  w2g64: { bits: 2, groupSize: 64 },
} as const;

async function perplexities(model: string, options: Omit<QuantizeOptions, 'output'>) {
  const { directory, report } = await finish(sharedModel(model), options);
  const { results } = await evaluate(directory, {
    texts: texts.map(sharedText),
    sequenceLength: 512,
  });
  return { report, perplexities: results.map(({ perplexity }) => perplexity) };
}

function expectNear(actual: readonly number[], expected: Perplexities, tolerance: number): void {
  texts.forEach((text, i) => {
    const ratio = (actual[i] ?? Number.NaN) / (expected[text] ?? Number.NaN);
    expect(Math.abs(ratio - 1), `${text}: ${actual[i]}`).toBeLessThan(tolerance);
  });
}

function expectMeanNear(actual: readonly number[], golden: Perplexities, tolerance: number): void {
  const ratio = mean(actual) / mean(texts.map((text) => golden[text] ?? Number.NaN));
  expect(Math.abs(ratio - 1), `${actual}`).toBeLessThan(tolerance);
}

/** Errors of the first block, whose inputs are the same in both programs. */
function expectBlock0(
  layers: readonly LayerReport[],
  golden: Golden['block0'],
  scheme: string,
): void {
  const block = layers.filter(({ block }) => block === 0);
  expect(block).toHaveLength(6);
  for (const { name, error, errorWithBias, outputEnergy } of block) {
    const linear = name.replace('model.decoder.layers.0.', '');
    const figures = golden[linear]?.[scheme];
    if (figures === undefined) throw new Error(`${linear} ${scheme}`);
    const near = (actual: number, expected: number) =>
      expect(Math.abs(actual / expected - 1), `${linear}: ${actual}`).toBeLessThan(0.01);
    near(error, figures.error);
    near(errorWithBias, figures.error_with_bias);
    near(outputEnergy, Number(golden[linear]?.output_energy));
  }
}

describe.skipIf(!hasShared)('opt-7m', () => {
  const { quantized, block0 } = hasShared ? goldenOf('opt-7m') : ({} as Golden);

  it.runIf(full).each(Object.entries(schemes))(
    `rtn ${on}, within 0.2 %: %s`,
    async (scheme, grid) => {
      const options = { ...shortProtocol, ...grid, method: 'rtn', compensation: 'none' } as const;
      const { perplexities: found } = await perplexities('opt-7m', options);
      expectNear(found, quantized[`${scheme} rtn`] ?? {}, 0.002);
    },
  );

  it.runIf(full)(`gptq ${on}, within 1.5 %: w3g-1`, async () => {
    const options = { ...protocol, bits: 3, method: 'gptq', compensation: 'none' } as const;
    const { perplexities: found } = await perplexities('opt-7m', options);
    expectMeanNear(found, quantized['w3g-1 gptq'] ?? {}, 0.015);
  });

  it(`gptq and its bias ${on}, within 1.5 %; first block within 1 %: w3g-1`, async () => {
    const options = { ...protocol, bits: 3, method: 'gptq' } as const;
    const biased = await perplexities('opt-7m', options);
    expectMeanNear(biased.perplexities, quantized['w3g-1 gptq+channel'] ?? {}, 0.015);
    expectBlock0(biased.report.layers, block0, 'gptq-w3g-1');
  });

  it.each([
    ['gptq', 'sequential', 'w2g64', 'gptq-w2g64'],
    ['gptq', 'joint', 'w3g-1', 'gptq-joint-w3g-1'],
    ['rtn', 'sequential', 'w2g64', 'rtn-w2g64'],
  ] as const)('first block within 1 %: %s, %s fit, %s', async (method, fit, scheme, figures) => {
    // Runs that stop after the block: the iteration is left. The reference program's joint fit leaves scales alone.
    const options = { ...protocol, ...schemes[scheme], method, fit, refit: 'none' } as const;
    expectBlock0(await firstBlock(sharedModel('opt-7m'), options), block0, figures);
  });
});

describe.skipIf(!hasShared)('opt-7m-shifted', () => {
  const { quantized } = hasShared ? goldenOf('opt-7m-shifted') : ({} as Golden);

  /** On the first text. */
  const float = 110.7576;
  const plain = quantized['w4g-1 rtn'] ?? {};
  const options = { ...protocol, bits: 4, method: 'rtn' } as const;

  it.runIf(full)(`rtn ${on}, within 0.5 %: w4g-1`, async () => {
    const run = { ...options, samples: 2, compensation: 'none' } as const;
    expectNear((await perplexities('opt-7m-shifted', run)).perplexities, plain, 0.005);
  });

  it(`rtn and its bias ${on}, within 0.5 %: w4g-1`, async () => {
    const { perplexities: found } = await perplexities('opt-7m-shifted', options);
    expectNear(found, quantized['w4g-1 rtn+channel'] ?? {}, 0.005);
    // The bias wins back most of what rounding loses.
    const lost = (plain['wikitext2-test'] ?? Number.NaN) - float;
    expect((found[0] ?? Number.NaN) - float).toBeLessThan(0.25 * lost);
  });
});
