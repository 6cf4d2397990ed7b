// Which of llama.cpp's architectures computes what a model type does: one line each. 'llama', with its optional biases, runs
// Mistral and Qwen2 exactly: they are LLaMA with a window, or with biases in three linears. Source: llama.cpp's models and
// gguf-py's constants.

export interface GgufArchitecture {
  /** The value of `general.architecture`, with which the names of sizes begin. */
  readonly name: string;
  /** Whether rotary pairs stand side by side in a head, and its rows with them; otherwise half a head apart, as checkpoints have them. */
  readonly pairsRows?: true;
  /** Whether it divides the weights of the chosen experts by their sum. */
  readonly normalizesExperts?: true;
  /** Whether it takes no head from the embedding, so that one tied to it is in the file twice. */
  readonly needsHead?: true;
  /** Whether it has as many heads of keys as of queries. */
  readonly noSharedKeys?: true;
  /** Of rotary positions, where config.json does not say; default 10,000. */
  readonly rotaryBase?: number;
}

const llama: GgufArchitecture = { name: 'llama', pairsRows: true };

/** By model type. */
export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  llama,
  mistral: llama,
  mixtral: { ...llama, normalizesExperts: true, rotaryBase: 1_000_000 },
  olmoe: { name: 'olmoe', needsHead: true, noSharedKeys: true },
  qwen2: llama,
  qwen2_moe: { name: 'qwen2moe', needsHead: true },
  qwen3: { name: 'qwen3' },
  qwen3_moe: { name: 'qwen3moe', normalizesExperts: true },
};
