// What models that read images say of positions on images' axes: how many pairs of channels turn by each of four axes, which for
// texts are the same, and how many blocks take what the image encoder's own blocks give.

import { ConfigReader } from '../../models/config-reader.js';
import type { Config } from '../../models/index.js';
import { int32s, type Metadata, uint32 } from './metadata.js';
import type { Outline } from './outline.js';

const axes = 4;

export function positionSections({ rotary }: Outline, config: Config): Metadata {
  const reader = new ConfigReader(config);
  const text = reader.object('text_config') ?? reader;
  const parameters = text.object(text.alias('rope_scaling', 'rope_parameters'));
  const field = 'mrope_section';
  const listed = parameters?.has(field) ? parameters.numbers(field, axes - 1) : [];
  const sections = listed.length > 0 ? listed : [(rotary?.channels ?? 0) / 2];
  const padded = Array.from({ length: axes }, (_, axis) => sections[axis] ?? 0);
  return { 'rope.dimension_sections': int32s(padded) };
}

export function deepstackMetadata(outline: Outline, config: Config): Metadata {
  const { vision_config: vision } = config;
  const indexes = (vision as Config | undefined)?.deepstack_visual_indexes;
  return {
    ...positionSections(outline, config),
    ...(Array.isArray(indexes) && { n_deepstack_layers: uint32(indexes.length) }),
  };
}
