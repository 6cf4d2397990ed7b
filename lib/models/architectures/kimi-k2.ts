// Kimi-K2 (arXiv 2507.20534): DeepSeek-V3 under a name of its own, which the code beside its checkpoints gives it. Clients
// know the class by DeepSeek's name alone, so that is what the model is called, and its results.

import type { Architecture } from '../model.js';
import { deepseekV3 } from './deepseek-v3.js';

export const kimiK2: Architecture = { modelType: 'kimi_k2', read: deepseekV3.read };
