// SmolLM3: LLaMA without rotary positions in every fourth block (arXiv 2501.18795).

import { readWindows } from '../attention-shape.js';
import { ConfigReader } from '../config-reader.js';
import { type GatedDecoder, gatedDecoder } from '../gated-decoder.js';
import { behindProjections } from '../linear-bias.js';
import type { Architecture } from '../model.js';
import { readBiases, readGatedDecoder } from '../read-gated-decoder.js';

export const smollm3: Architecture = {
  modelType: 'smollm3',
  biasesNotRead: { 'llama.cpp': behindProjections },
  read(config, tensors) {
    const reader = new ConfigReader(config);
    const decoder = readGatedDecoder(reader, 'smollm3', {
      tiedHead: true,
      rotary: { base: 2e6 },
    });
    const biases = readBiases(reader, { mlp: true });
    return gatedDecoder({ ...decoder, ...readBlocks(reader, decoder), ...biases }, tensors);
  },
};

/** Which blocks turn, and which slide: as `layer_types` says, or where windows are in use those that do not turn. */
function readBlocks(reader: ConfigReader, { blocks, rotary }: GatedDecoder) {
  const interval = reader.count('no_rope_layer_interval', 4);
  const turns = reader.has('no_rope_layers')
    ? reader.bits('no_rope_layers', blocks)
    : Array.from({ length: blocks }, (_, index) => (index + 1) % interval !== 0);
  const slides = reader.boolean('use_sliding_window', false);
  return {
    rotaries: turns.map((turn) => (turn ? rotary : undefined)),
    windows: readWindows(
      reader,
      blocks,
      reader.positiveOrNone('sliding_window'),
      (index) => slides && turns[index] === false,
    ),
  };
}
