// EXAONE 4 (arXiv 2507.11407): the gated decoder with norms on the outputs of attention and MLP instead of before them, and on each
// head's query and key; where windows slide, the blocks that see all tokens have no rotary positions. Fields give biases in vLLM.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { behindProjections, biasesOfVllmAlone } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const exaone4: Architecture = {
  modelType: 'exaone4',
  biasesNotRead: { ...biasesOfVllmAlone, 'llama.cpp': behindProjections },
  relatives: ['exaone', 'exaone_moe'],
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'exaone4', { eps: 1e-5 });
    const { blocks, rotary } = decoder;
    const window = reader.positiveOrNull('sliding_window', 4096);
    const pattern = window === 0 ? 1 : reader.count('sliding_window_pattern', 4);
    const windows = readWindows(reader, blocks, window, (index) => (index + 1) % pattern !== 0);
    return gatedDecoder(
      {
        ...decoder,
        ...readBiases(reader, { mlp: true }),
        norms: {
          attentionOutput: 'post_attention_layernorm',
          mlpOutput: 'post_feedforward_layernorm',
        },
        queryKeyNorms: 'heads',
        windows,
        rotaries: windows.map((tokens) => (window === 0 || tokens > 0 ? rotary : undefined)),
      },
      tensors,
    );
  },
};
