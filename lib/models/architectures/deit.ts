// DeiT (arXiv 2012.12877): ViT with a second learned token, which a teacher was distilled into. A checkpoint has one
// classifier on the class token, or one on each token; their logits are then averaged.

import { ConfigReader } from '../config-reader.js';
import type { Architecture, VisionModel } from '../model.js';
import { readVisionTransformer, visionTransformer } from '../vision-transformer.js';

export const deit: Architecture<VisionModel> = {
  modelType: 'deit',
  notLoadedBy: ['vllm'],
  relatives: ['beit', 'data2vec-vision'],
  read: (config, tensors) =>
    visionTransformer({
      ...readVisionTransformer(new ConfigReader(config)),
      modelType: 'deit',
      root: 'deit',
      tokens: ['cls_token', 'distillation_token'],
      classifiers: tensors.has('distillation_classifier.weight')
        ? [
            { token: 0, name: 'cls_classifier' },
            { token: 1, name: 'distillation_classifier' },
          ]
        : [{ token: 0, name: 'classifier' }],
    }),
};
