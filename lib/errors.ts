// The one error type of the library. Native errors arrive as plain Errors with a `code`; lib/device turns them into
// this class, so that callers only ever test `error instanceof BallastError` and `error.code`.

export type ErrorCode =
  | 'ERR_SHAPE'
  | 'ERR_TYPE'
  | 'ERR_NUMERIC'
  | 'ERR_IO'
  | 'ERR_MEMORY'
  | 'ERR_UNSUPPORTED'
  | 'ERR_ABORTED'
  | 'ERR_CUDA'
  /** A wrong option or argument of a public function or command. */
  | 'ERR_ARGUMENT'
  /** A checkpoint that is damaged, incomplete or contradictory. */
  | 'ERR_CHECKPOINT'
  /** Calibration or evaluation data that cannot be used. */
  | 'ERR_DATA';

export class BallastError extends Error {
  override readonly name = 'BallastError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Of what was to stop before its end; `cause` is the signal's reason. */
export function aborted(what: string, cause?: unknown): BallastError {
  return new BallastError('ERR_ABORTED', `${what} was aborted.`, { cause });
}

/** Error ERR_ABORTED once the signal is. */
export function expectNotAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw aborted(what, signal.reason);
}
