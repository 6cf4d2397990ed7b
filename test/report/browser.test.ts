// A report as a browser shows it: headless Chromium lays it out at the width of a phone and of a desk, light and dark,
// and measures. The page itself may run no script, so one around it looks into frames that hold it.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReport } from '../../lib/report/index.js';
import { evaluation, kinds, report } from './fixture.js';

const browser = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  'chrome',
].find((name) => spawnSync(name, ['--version']).status === 0);

interface Measured {
  readonly width: number;
  /** Width of what would have to be scrolled to. */
  readonly overflow: number;
  readonly background: readonly number[];
  readonly ink: readonly number[];
  /** Panels side by side. */
  readonly columns: number;
  /** Marks and letters of charts that lie outside their chart. */
  readonly outside: readonly string[];
  readonly marks: number;
  readonly requests: number;
}

/** Runs inside the wrapping page; looks at the report in `frame`. */
const measure = `(frame) => {
  const page = frame.contentDocument;
  const view = frame.contentWindow;
  const colour = (element, name) => view.getComputedStyle(element)[name].match(/\\d+/g).map(Number).slice(0, 3);
  const outside = [];
  for (const chart of page.querySelectorAll('svg[role=img]')) {
    const box = chart.getBoundingClientRect();
    for (const mark of chart.querySelectorAll('circle, text, path, rect')) {
      const { left, right, top, bottom, width } = mark.getBoundingClientRect();
      const inside = left >= box.left - 1 && right <= box.right + 1 && top >= box.top - 1 && bottom <= box.bottom + 1;
      if (!inside || width === 0) outside.push(mark.outerHTML.slice(0, 80));
    }
  }
  const tops = [...page.querySelector('.panels').children].map((panel) => panel.getBoundingClientRect().top);
  return {
    width: view.innerWidth,
    overflow: page.documentElement.scrollWidth - view.innerWidth,
    background: colour(page.body, 'backgroundColor'),
    ink: colour(page.body, 'color'),
    columns: tops.filter((top) => top === tops[0]).length,
    outside,
    marks: page.querySelectorAll('circle.mark').length,
    requests: view.performance.getEntriesByType('resource').length,
  };
}`;

/** The report in one frame a width; when all are laid out, the title of the page holds what was measured. */
function wrapped(page: string, widths: readonly number[]): string {
  const source = page.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const frames = widths.map(
    (width) =>
      `<iframe style="width:${width}px;height:4000px;border:0" srcdoc="${source}"></iframe>`,
  );
  return `<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title></title>${frames.join('')}<script>
addEventListener('load', () => {
  const frames = [...document.querySelectorAll('iframe')];
  document.title = JSON.stringify(frames.map(${measure}));
});
</script>`;
}

describe.skipIf(browser === undefined)('in headless Chromium', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ballast-report-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function look(scheme: 'light' | 'dark'): Promise<Measured[]> {
    const evaluations = [evaluation('models/opt-7m', 1), evaluation('opt-7m-3bit', 1.05)];
    const file = join(folder, `${scheme}.html`);
    await writeFile(file, wrapped(renderReport(report(), { evaluations }), [390, 1280]));
    const { stdout } = spawnSync(
      browser ?? '',
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', '--window-size=1400,900'],
        `--user-data-dir=${join(folder, scheme)}`,
        `--blink-settings=preferredColorScheme=${scheme === 'dark' ? 0 : 1}`,
        pathToFileURL(file).href,
      ],
      { encoding: 'utf8', maxBuffer: 1e8 },
    );
    const title = /<title>(.*?)<\/title>/s.exec(stdout)?.[1] ?? '';
    return JSON.parse(
      title.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
    );
  }

  it.each(['light', 'dark'] as const)('%s: phone and desk', async (scheme) => {
    const measured = await look(scheme);
    expect(measured.map(({ width, columns }) => [width, columns])).toEqual([
      [390, 1],
      [1280, 3],
    ]);
    for (const { overflow, outside, marks, background, ink, requests } of measured) {
      expect(overflow).toBeLessThanOrEqual(0);
      expect(outside).toEqual([]);
      // Five series of three blocks in each panel, and the legends' four.
      expect(marks).toBe(5 * 3 * kinds.length + 4);
      expect(requests).toBe(0);
      expect(contrast(ink, background)).toBeGreaterThan(7);
      expect(luminance(background) < 0.2).toBe(scheme === 'dark');
    }
  });
});

/** Relative luminance and contrast as WCAG 2 defines them. */
function luminance([r = 0, g = 0, b = 0]: readonly number[]): number {
  const [x, y, z] = [r, g, b].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

function contrast(a: readonly number[], b: readonly number[]): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}
