// The files beside the weights that a model needs to be used: tokenizer, generation and preprocessing settings, chat
// template, license. They are taken along unchanged. The model card is not: it describes the source.

export const companionFiles: readonly string[] = [
  'tokenizer.json',
  'tekken.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
  'tokenizer.model',
  'tiktoken.model',
  'spiece.model',
  'sentencepiece.bpe.model',
  'generation_config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'chat_template.jinja',
  'chat_template.json',
  'LICENSE',
  'LICENSE.txt',
  'LICENSE.md',
  'NOTICE',
  'NOTICE.txt',
];
