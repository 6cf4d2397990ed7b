// What a run tells of itself when it is over: the content of ballast.json.

import { packageVersion } from '../version.js';
import type { CalibrationData } from './calibration-data.js';
import type { RunReport } from './events.js';
import type { Run } from './run.js';

/** What came of the blocks, and of which checkpoint. */
type Outcome = Pick<RunReport, 'layers' | 'outputs' | 'bitsPerWeight' | 'fingerprint'>;

export function reportOf(run: Run, data: CalibrationData, outcome: Outcome): RunReport {
  const { options, clock } = run;
  return {
    ballast: packageVersion(),
    format: options.format,
    model: run.source,
    modelType: run.model.modelType,
    options,
    environment: {
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      device: run.devices.map(({ name, description }) => `${name}: ${description}`).join('; '),
    },
    calibrationTokens: data.fitted.length * data.sequence,
    heldOutTokens: data.heldOut.length * data.sequence,
    dropped: run.sites.dropped,
    ...outcome,
    seconds: clock.seconds(),
    memoryBytes: clock.memoryBytes(),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  };
}
