// The plan of a run that is not begun: what memory-plan.ts counts, for a model and options as `quantize` takes them.

import { fetchModel } from '../../checkpoint/hub/fetch-model.js';
import { openModel } from '../open-model.js';
import type { QuantizeOptions } from '../options/options.js';
import { resolveOptions } from '../options/resolve-options.js';
import { findSites } from '../sites/sites.js';
import { type MemoryPlan, memoryPlanOf } from './memory-plan.js';

/**
 * What `quantize` with the same arguments will hold in memory. Only a hub id makes it fetch anything. Errors: those of
 * `quantize` that its options and the checkpoint's headers tell.
 */
export async function planMemory(name: string, given: QuantizeOptions): Promise<MemoryPlan> {
  const { options, quantizer } = resolveOptions(given);
  const { model, checkpoint } = await openModel(await fetchModel(name, given), options);
  return memoryPlanOf({ checkpoint, model, options, quantizer, sites: findSites(model, options) });
}
