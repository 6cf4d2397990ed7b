// GPT-BigCode, the architecture of SantaCoder and StarCoder (arXiv 2301.03988, 2305.06161): GPT-2 whose queries share one
// key and one value, weights stored [out, in].

import { attend } from '../attend.js';
import { ConfigReader } from '../config-reader.js';
import { splitColumns, splitHeads } from '../fused-projection.js';
import { layerNormDecoder } from '../layer-norm-decoder.js';
import type { Architecture } from '../model.js';
import { gpt2Linears, readGpt2 } from './gpt2.js';

export const gptBigcode: Architecture = {
  modelType: 'gpt_bigcode',
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const { frame, sizes } = readGpt2(reader, tensors, 'gelu_pytorch_tanh');
    const { hiddenSize, mlpSize, heads, headSize, scale } = sizes;
    const shared = reader.boolean('multi_query', true);
    const keyValueHeads = shared ? 1 : heads;
    const shape = { hiddenSize, heads, keyValueHeads, headSize };
    return layerNormDecoder({
      ...frame,
      modelType: 'gpt_bigcode',
      sizes: { shape, mlpSize, scale, headByHead: !shared },
      linears: gpt2Linears(sizes, hiddenSize + 2 * keyValueHeads * headSize),
      attend(h, call, context) {
        const { device, sequence } = context;
        const fused = call('attn.c_attn', h);
        // Where each head has its own, they come head by head.
        const [query, key, value] = shared
          ? splitColumns(device, fused, [hiddenSize, headSize, headSize])
          : splitHeads(device, fused, [headSize, headSize, headSize]);
        return attend(context, query, key, value, { sequence, heads, keyValueHeads, scale });
      },
    });
  },
};
