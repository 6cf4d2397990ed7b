// The programs that load results.

export const clients = ['transformers', 'vllm', 'llama.cpp', 'onnxruntime'] as const;

export type Client = (typeof clients)[number];
