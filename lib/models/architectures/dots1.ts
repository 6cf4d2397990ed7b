// dots.llm1 (arXiv 2506.05767): Qwen3 with experts that a bias balances, after dense blocks.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBalancedExperts } from '../read-experts.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const dots1: Architecture = {
  modelType: 'dots1',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'dots1');
    const window = reader.positiveOrNull('sliding_window', 4096);
    const first = reader.countOrNone('max_window_layers', 62);
    return gatedDecoder(
      {
        ...decoder,
        queryKeyNorms: 'heads',
        windows: readWindows(reader, decoder.blocks, window, (index) => index >= first),
        ...readBiases(reader, { mlp: false }),
        mixture: readBalancedExperts(reader, decoder, { dense: 0, normalized: false }),
      },
      tensors,
    );
  },
};
