// What options of several public functions come to where nobody says.

export const sharedDefaults = {
  /** Field of JSONL, column of parquet. */
  field: 'text',
  /** Tokens, or what the model supports: what perplexities are usually stated for, and users calibrate on. */
  sequenceLength: 2048,
  maxShardBytes: 5e9,
  embeddingBits: 16,
} as const;
