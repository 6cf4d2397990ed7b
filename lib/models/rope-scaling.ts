// How a checkpoint's rotary frequencies were changed to reach longer contexts, by the `rope_type` of config.json. Each
// takes the plain frequencies and returns those of the checkpoint. Sources: arXiv 2306.15595 (linear), the
// Llama 3.1 release (llama3).

import type { ConfigReader } from './config-reader.js';

export type RopeScaling = (
  frequencies: readonly number[],
  parameters: ConfigReader,
  maxPositions: number,
) => readonly number[];

const linear: RopeScaling = (frequencies, parameters) => {
  const factor = parameters.positive('factor');
  return frequencies.map((frequency) => frequency / factor);
};

/** Long waves are stretched by `factor`, short ones stay, those between move from one to the other. */
const llama3: RopeScaling = (frequencies, parameters, maxPositions) => {
  const factor = parameters.positive('factor');
  const low = parameters.positive('low_freq_factor');
  const high = parameters.positive('high_freq_factor');
  const context = parameters.count('original_max_position_embeddings', maxPositions);
  return frequencies.map((frequency) => {
    // Turns of this wave in the original context, from `low` (0: stretched) to `high` (1: as it was).
    const turns = (context * frequency) / (2 * Math.PI);
    const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return share * frequency + ((1 - share) * frequency) / factor;
  });
};

export const ropeScalings: Readonly<Record<string, RopeScaling>> = {
  default: (frequencies) => frequencies,
  // Departs from the plain frequencies only beyond the longest supported sequence.
  dynamic: (frequencies) => frequencies,
  linear,
  llama3,
};
