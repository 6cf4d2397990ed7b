// Gemma 2 (arXiv 2408.00118): scores and logits are capped, and attention slides in every other block.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import { readGemmaDecoder } from '../gemma-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';

export const gemma2: Architecture = {
  modelType: 'gemma2',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGemmaDecoder(reader, 'gemma2');
    const window = reader.positiveOrNull('sliding_window', 4096);
    return gatedDecoder(
      {
        ...decoder,
        windows: readWindows(reader, decoder.blocks, window, (index) => index % 2 === 0),
        attentionCap: reader.positiveOrNull('attn_logit_softcapping', 50),
        logitCap: reader.positiveOrNull('final_logit_softcapping', 30),
      },
      tensors,
    );
  },
};
