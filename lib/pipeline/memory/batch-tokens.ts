// Tokens of a run's mini-batches. A CPU takes few, so that what an operation writes is still in the cache when the next one
// reads it. A GPU takes many: each mini-batch packs every weight and updates every second moment anew, which with 2048
// tokens is a third of a product's own time, and the host waits once for each. Sums over mini-batches differ by rounding.

import { deviceNames } from '../../device/index.js';
import { batchTokens } from '../../execution/index.js';
import type { ResolvedOptions } from '../options/options.js';

export const gpuBatchTokens = 16384;

/** So many mini-batches a device at least: they balance devices that are not equally fast. */
const leastBatches = 8;

/** For samples of `tokens` together. */
export function batchTokensOf(
  { device, activationBits, weightSearch }: ResolvedOptions,
  tokens: number,
): number {
  const names = deviceNames(device);
  // What is found on a mini-batch, or quantized by its range, shall not depend on the device; and scores of attention that
  // stand in memory grow with it.
  const reads = activationBits !== 0 || weightSearch !== 'none';
  if (reads || names.includes('cpu')) return batchTokens;
  const share = Math.floor(tokens / (leastBatches * names.length));
  return Math.max(batchTokens, Math.min(share, gpuBatchTokens));
}
