// Where the time of each block goes.

import { expect, it } from 'vitest';
import { type PhaseSeconds, quantize } from '../../lib/index.js';
import { exampleModel, exampleText, temporaryFolder } from '../places.js';

it('the phases of blocks are parts of their time, and of the whole run', async () => {
  const output = `${await temporaryFolder()}/result`;
  const sampling = { calibration: exampleText, samples: 2, sequenceLength: 32 };
  const blocks: PhaseSeconds[] = [];
  for await (const event of quantize(exampleModel, { ...sampling, output, method: 'rtn' })) {
    if (event.type === 'block') {
      const parts = Object.values(event.phases).reduce((sum, seconds) => sum + seconds, 0);
      expect(parts).toBeLessThanOrEqual(event.seconds);
      blocks.push(event.phases);
    }
    if (event.type !== 'done') continue;
    expect(blocks).toHaveLength(4);
    const { quantize: all } = event.report.seconds;
    expect(blocks.reduce((sum, { quantize }) => sum + quantize, 0)).toBeCloseTo(all, 9);
  }
});
