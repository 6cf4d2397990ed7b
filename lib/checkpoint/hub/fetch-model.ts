// A model's directory for the functions that only read it, with the progress of a download told as events.

import { resolveModel } from './hub.js';

/** A hub model on its way; `done` and `total` are bytes over all its files. */
export interface DownloadEvent {
  readonly type: 'download';
  readonly file: string;
  readonly done: number;
  readonly total: number;
}

export interface FetchOptions {
  /** Hub access token, for a hub id. Default: environment variable HF_TOKEN. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

export function fetchModel(
  model: string,
  { token, signal }: FetchOptions,
  onProgress?: (event: DownloadEvent) => void,
): Promise<string> {
  return resolveModel(model, {
    ...(token === undefined ? {} : { token }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: ({ file, loadedBytes, totalBytes }) =>
      onProgress?.({ type: 'download', file, done: loadedBytes, total: totalBytes }),
  });
}
