// What a report is made of, without a browser: well-formed, complete, loading nothing, and deaf to markup in its data.

import { describe, expect, it } from 'vitest';
import { type ReportedEvaluation, type ReportInput, renderReport } from '../../lib/report/index.js';
import { blocks, evaluation, kinds, layers, report } from './fixture.js';

const evaluations = [evaluation('models/opt-7m', 1), evaluation('out/opt-7m-3bit', 1.05)];
const count = (page: string, pattern: RegExp) => [...page.matchAll(pattern)].length;

/** Tags that are left open or closed in the wrong order. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, closing, name = '', , closed] of page.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^"<>])*?)(\/?)>/g,
  )) {
    if (name === 'meta' || closed === '/') continue;
    if (closing === '') open.push(name);
    else if (open.pop() !== name) wrong.push(name);
  }
  return [...wrong, ...open];
}

describe('a report', () => {
  const page = renderReport(report(), { evaluations });

  it('is well-formed HTML', () => {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(unbalanced(page)).toEqual([]);
    expect(unbalanced('<p><b></p>')).not.toEqual([]);
  });

  it('loads nothing, runs nothing, and says so in its policy', () => {
    expect(page).not.toMatch(/<(script|link|img|iframe|object|base)\b/i);
    expect(page).not.toMatch(/\b(src|href|action|on[a-z]+)\s*=/i);
    expect(page).not.toMatch(/url\(|@import|https?:/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  it('marks every layer in each of five series, dropped biases hollow', () => {
    const linears = blocks * kinds.length;
    expect(count(page, /<circle class="mark (before|after)[^"]*" cx/g)).toBe(5 * linears);
    expect(count(page, /<circle class="mark after hollow"/g)).toBe(1);
    expect(count(page, /<figcaption>/g)).toBe(3 * kinds.length);
  });

  it('describes every chart in words', () => {
    const charts = [...page.matchAll(/<svg [^>]*role="img"[^>]*>/g)].map(([tag]) => tag);
    expect(charts).toHaveLength(3 * kinds.length + 2);
    for (const chart of charts) expect(chart).toMatch(/aria-label="[^"]{20,}"/);
    expect(page).toContain(
      'self_attn.q_proj over 3 blocks: without bias from 0.400 % to 4.00 %; with bias from 0.320 % to 3.20 %',
    );
  });

  it('has the same numbers in tables', () => {
    expect(page).toContain(
      '<th scope="row">model.decoder.layers.0.self_attn.q_proj</th><td>4.00 %</td><td>3.20 %</td><td>4.40 %</td><td>3.60 %</td><td>0.800 %</td><td>kept</td>',
    );
    expect(count(page, /<td>kept<\/td>/g)).toBe(11);
    expect(count(page, /<td>dropped<\/td>/g)).toBe(1);
    expect(page).toContain('<td>116.30 <small>+5.00 %</small></td>');
    expect(page).toMatch(/calibrate<\/th><td>6\.00 s<\/td><td>60\.0 %<\/td><td>250 MB<\/td>/);
    // What no phase has measured is told as well.
    expect(page).toMatch(/other<\/th><td>1\.00 s<\/td><td>10\.0 %/);
  });

  it('lists options and environment', () => {
    expect(page).toContain('<dt>sites</dt><dd>linear, block</dd>');
    expect(page).toContain('<dt>symmetric</dt><dd>false</dd>');
    expect(page).toContain('<dt>device</dt><dd>cpu: avx2, 2 threads</dd>');
  });

  it('places marks by their logarithm', () => {
    // Domain 0.1 … 5 %: 4 % lies near the top, 3.2 % a little below it.
    const places = [...page.matchAll(/cy="([\d.]+)%?"/g)].map(([, y]) => Number(y));
    expect(Math.min(...places)).toBeGreaterThanOrEqual(18);
    expect(Math.max(...places)).toBeLessThanOrEqual(138);
  });
});

describe('what is in the data', () => {
  const hostile = `<img src=x onerror="alert(1)">'&\u202e\u0007`;

  it('is text wherever it stands', () => {
    const page = renderReport(
      report({
        ballast: hostile,
        format: hostile,
        model: hostile,
        modelType: hostile,
        fingerprint: hostile,
        options: { [hostile]: hostile, method: hostile, bits: 3 },
        environment: { [hostile]: [hostile, { [hostile]: hostile }] },
        layers: layers().map((layer) => ({ ...layer, name: `${hostile}.0.${hostile}` })),
        seconds: { total: 1, [hostile]: 1 },
      }),
      {
        evaluations: [
          {
            model: hostile,
            sequenceLength: 512,
            results: [{ text: hostile, perplexity: 9 }],
          },
        ],
      },
    );
    expect(page).not.toContain('<img');
    for (const character of ['\u202e', '\u0007']) expect(page).not.toContain(character);
    expect(unbalanced(page)).toEqual([]);
    expect(page).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&#39;&amp;');
  });

  it.each<[string, object, string]>([
    [
      'layers',
      { layers: {} },
      'Expected a list for layers of the report but received {}; take the file as it was written.',
    ],
    [
      'an error',
      { layers: [{ ...layers()[0], error: null }] },
      'Expected a number for error of layers[0] of the report but received null; take the file as it was written.',
    ],
    ['no layers', { layers: [] }, 'Expected at least one layer in the report.'],
    [
      'seconds',
      { seconds: { total: 1, load: '<b>' } },
      'Expected a number for seconds.load of the report but received "<b>"; take the file as it was written.',
    ],
    [
      'the bits',
      { options: { method: 'gptq' } },
      'Expected a number for options.bits of the report but received nothing; take the file as it was written.',
    ],
    [
      'the method',
      { options: { bits: 3 } },
      'Expected a string for options.method of the report but received nothing; take the file as it was written.',
    ],
    [
      'the model',
      { model: 7 },
      'Expected a string for model of the report but received 7; take the file as it was written.',
    ],
  ])('is refused where %s will not do', (_, changes, message) => {
    const damaged = { ...report(), ...changes } as ReportInput;
    expect(() => renderReport(damaged)).toThrow(
      expect.objectContaining({ code: 'ERR_DATA', message }),
    );
  });

  it('takes no accuracies for perplexities', () => {
    const accuracies = { model: 'vit', results: [{ images: 'val', top1: 80, top5: 95, count: 9 }] };
    const evaluations = [accuracies as unknown as ReportedEvaluation];
    expect(() => renderReport(report(), { evaluations })).toThrow(
      /perplexities for evaluation 1 but received accuracies on images/,
    );
  });

  it('may lack held-out errors and biases', () => {
    const bare = layers().map(({ name, block, error }) => ({
      ...{ name, block, error, errorWithBias: error },
      ...{ biasEnergy: 0, biasKept: false },
    }));
    const page = renderReport(report({ layers: bare }));
    expect(page).not.toContain('held-out data</h2>');
    expect(page).not.toContain('Size of the biases');
    expect(page).not.toContain('Perplexity');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(unbalanced(page)).toEqual([]);
  });

  it('may be without any error or all alike', () => {
    for (const error of [0, 0.01]) {
      const same = layers().map((layer) => ({
        ...layer,
        ...{ error, errorWithBias: error, heldOutError: error, heldOutErrorWithBias: error },
      }));
      const page = renderReport(report({ layers: same.slice(0, 1) }), {
        evaluations: [evaluation('a', 1)],
      });
      expect(page).not.toMatch(/NaN|undefined|Infinity/);
    }
  });
});
