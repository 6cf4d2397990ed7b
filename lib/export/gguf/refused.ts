// The error for a model that llama.cpp would compute otherwise than it is.

import { BallastError } from '../../errors.js';

export function refused(expected: string, received: string, others = ''): BallastError {
  return new BallastError(
    'ERR_UNSUPPORTED',
    `Expected ${expected} for format gguf but received ${received}; use ${others}format huggingface or compressed-tensors.`,
  );
}
