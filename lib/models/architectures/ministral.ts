// Ministral 8B: Mistral whose attention slides in some blocks only. Its first configurations call it mistral.

import { ConfigReader } from '../config-reader.js';
import { gatedDecoder } from '../gated-decoder.js';
import type { Architecture } from '../model.js';
import { readMinistralDecoder } from './mistral.js';

export const ministral: Architecture = {
  modelType: 'ministral',
  read: (config, tensors) =>
    gatedDecoder(readMinistralDecoder(new ConfigReader(config), 'ministral'), tensors),
};
