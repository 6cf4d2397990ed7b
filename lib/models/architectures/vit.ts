// ViT (arXiv 2010.11929): one class token, one classifier on it.

import { ConfigReader } from '../config-reader.js';
import type { Architecture, VisionModel } from '../model.js';
import { readVisionTransformer, visionTransformer } from '../vision-transformer.js';

export const vit: Architecture<VisionModel> = {
  modelType: 'vit',
  notLoadedBy: ['vllm'],
  relatives: ['vit_msn', 'vit_mae', 'dinov2', 'ijepa'],
  read: (config) =>
    visionTransformer({
      ...readVisionTransformer(new ConfigReader(config)),
      modelType: 'vit',
      root: 'vit',
      tokens: ['cls_token'],
      classifiers: [{ token: 0, name: 'classifier' }],
    }),
};
