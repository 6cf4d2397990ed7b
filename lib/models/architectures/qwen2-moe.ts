// Qwen1.5-MoE and Qwen2-MoE (arXiv 2407.10671): Qwen2 with experts, and one besides that all tokens go through, weighed by a
// gate of its own; a field decides about biases in query, key and value.

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readQwenWindow } from '../qwen-windows.js';
import { readSharedQwenExperts, readSparseSteps } from '../read-experts.js';
import { readGatedDecoder, readProjectionBiases } from '../read-gated-decoder.js';

export const qwen2Moe: Architecture = {
  modelType: 'qwen2_moe',
  biasesNotRead: { 'llama.cpp': ['self_attn.o_proj'] },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'qwen2_moe');
    const window = readQwenWindow(reader);
    const first = reader.countOrNone('max_window_layers', 28);
    const mixture = readSharedQwenExperts(reader, decoder, {
      ...{ count: 60, perToken: 4, size: 1408, sharedSize: 5632 },
      sparse: readSparseSteps(reader, decoder.blocks),
    });
    return gatedDecoder(
      {
        ...decoder,
        windows: readWindows(
          reader,
          decoder.blocks,
          window,
          (index) => index % 2 === 0 && index < first,
        ),
        ...readProjectionBiases(reader, 'qkv_bias', true),
        mixture,
      },
      tensors,
    );
  },
};
