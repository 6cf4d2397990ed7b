// The list of architectures, and what is said about a model type that is not on it.

import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { architectures, readModel, visionArchitectures } from '../../lib/models/index.js';

const readType = (model_type: unknown) => () => readModel({ model_type }, new Set());

test('every architecture has its own file, named like its model type', () => {
  const files = readdirSync(new URL('../../lib/models/architectures', import.meta.url));
  const types = [...architectures, ...visionArchitectures].map(({ modelType }) => modelType);
  expect(files.sort()).toEqual(types.map((type) => `${type.replaceAll('_', '-')}.ts`).sort());
});

test('no relative is supported by itself or claimed twice', () => {
  const names = architectures.flatMap(({ modelType, relatives = [] }) => [modelType, ...relatives]);
  expect(new Set(names).size).toBe(names.length);
});

test.each([
  ['mistral4', 'mistral3'],
  ['qwen3_asr', 'qwen3'],
  ['deepseek_v32', 'deepseek_v3'],
  ['glm4v_moe', 'glm4_moe'],
  ['gemma3n', 'gemma3_text'],
  ['recurrent_gemma', 'gemma'],
  ['phimoe', 'phi3'],
  ['phi4mm', 'phi3'],
  ['falcon', 'bloom'],
  ['gpt_neo', 'gpt2'],
  ['LLaMA', 'llama'],
  ['olmo', 'olmo2'],
  ['smollm', 'smollm3'],
  ['yi', 'llama'],
  ['opt_custom', 'opt'],
])('%s is closest to %s', (type, closest) => {
  expect(readType(type)).toThrow(
    expect.objectContaining({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(
        new RegExp(`received "${type}". The closest is ${closest}\\..*docs/add-a-model\\.md`),
      ),
    }),
  );
});

test.each(['resnet', 'x', '', 7, undefined])('nothing is close to %s', (type) => {
  expect(readType(type)).toThrow(
    expect.objectContaining({
      code: 'ERR_UNSUPPORTED',
      message: expect.not.stringContaining('closest'),
    }),
  );
  expect(readType(type)).toThrow(/bloom.*opt.*swin.*docs\/add-a-model\.md/);
});

test('a configuration without a type is told so', () => {
  expect(readType(undefined)).toThrow(/model_type in config\.json \(.*\) but there is none\./);
});
