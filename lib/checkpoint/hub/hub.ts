// A model named by a directory or by a Hugging Face hub id. Of a repository only root files with known names are
// fetched: config, safetensors, tokenizer and the like. Each is checked against the hash the hub states.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  downloadFile,
  getHFHubCachePath,
  HubApiError,
  listFiles,
  modelInfo,
} from '@huggingface/hub';
import { BallastError, expectNotAborted } from '../../errors.js';
import { expectText } from '../../option-checks.js';
import { companionFiles } from '../companion-files.js';
import { ioError } from '../io-error.js';
import { HubCache, type RemoteFile } from './hub-cache.js';

interface HubOptions {
  /** Access token for gated and private models. Default: environment variable HF_TOKEN. */
  readonly token?: string;
  /** Default: the hub cache of this user (HF_HUB_CACHE, HF_HOME, or ~/.cache/huggingface/hub). */
  readonly cacheDirectory?: string;
  /** Default: environment variable HF_ENDPOINT, or https://huggingface.co. */
  readonly endpoint?: string;
  readonly signal?: AbortSignal;
  /** Called as bytes arrive; sums over all files of the model. */
  readonly onProgress?: (progress: HubProgress) => void;
}

export interface HubProgress {
  readonly file: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

interface HubId {
  readonly model: string;
  readonly revision: string;
}

interface Access {
  readonly hubUrl: string;
  readonly fetch: typeof fetch;
  readonly accessToken?: string;
}

const expected = "an existing model directory or a hub id 'organisation/name'";

const idPattern = /^([\w][\w.-]*\/[\w][\w.-]*)(?:@([\w][\w./-]*))?$/;
const weightsPattern = /^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;
const hashPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * The directory of a model: `idOrDirectory` itself if it is one, else the cached snapshot of hub id
 * `organisation/name[@revision]`, fetched where needed. When the hub cannot be reached, a snapshot fetched earlier
 * serves. Errors: ERR_ARGUMENT (neither), ERR_IO (refused, unreachable, damaged), ERR_CHECKPOINT (no safetensors),
 * ERR_ABORTED.
 */
export async function resolveModel(
  idOrDirectory: string,
  options: HubOptions = {},
): Promise<string> {
  expectText(idOrDirectory, expected);
  expectNotAborted(options.signal, 'The reading of a model');
  const found = await stat(idOrDirectory).catch(() => undefined);
  if (found !== undefined) return resolve(idOrDirectory);
  const id = parseId(idOrDirectory);
  const cache = new HubCache(options.cacheDirectory ?? getHFHubCachePath(), id.model);
  const access = accessOf(options);
  let commit: string | undefined;
  try {
    commit = await commitOf(id, access);
    await fetchSnapshot(id, commit, cache, access, options.onProgress);
    await cache.setRevision(id.revision, commit);
    return cache.snapshot(commit);
  } catch (error) {
    expectNotAborted(options.signal, `Fetching ${id.model}`);
    // fetch rejects with a TypeError when there is no connection at all.
    const unreachable = commit === undefined && error instanceof TypeError;
    const cached = unreachable ? await cache.lastSnapshot(id.revision) : undefined;
    if (cached !== undefined) return cached;
    throw explain(error, id, access.hubUrl);
  }
}

function parseId(text: string): HubId {
  const [, model, revision = 'main'] = idPattern.exec(text) ?? [];
  if (model === undefined || text.includes('..')) {
    throw new BallastError('ERR_ARGUMENT', `Expected ${expected} but received '${text}'.`);
  }
  return { model, revision };
}

function accessOf(options: HubOptions): Access {
  const token = options.token ?? process.env.HF_TOKEN;
  const hubUrl = options.endpoint ?? process.env.HF_ENDPOINT ?? 'https://huggingface.co';
  const { signal } = options;
  return {
    hubUrl: hubUrl.replace(/\/+$/, ''),
    fetch: (url, init) => fetch(url, signal === undefined ? init : { ...init, signal }),
    ...(token ? { accessToken: token } : {}),
  };
}

async function commitOf(id: HubId, access: Access): Promise<string> {
  const { model: name, revision } = id;
  const { sha } = await modelInfo({ ...access, name, revision, additionalFields: ['sha'] });
  if (!hashPattern.test(sha)) throw new Error(`the hub answered with the commit '${sha}'`);
  return sha;
}

async function fetchSnapshot(
  id: HubId,
  commit: string,
  cache: HubCache,
  access: Access,
  onProgress: HubOptions['onProgress'],
): Promise<void> {
  const files = await neededFiles(id, commit, access);
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let loadedBytes = 0;
  for (const file of files) {
    const end = loadedBytes + file.bytes;
    const report = (bytes: number) => {
      loadedBytes += bytes;
      onProgress?.({ file: file.name, loadedBytes, totalBytes });
    };
    await cache.ensure(commit, file, async () =>
      counted(await content(id, commit, file, access), report),
    );
    // What was cached already counts as loaded.
    if (loadedBytes < end) report(end - loadedBytes);
  }
}

async function neededFiles(id: HubId, commit: string, access: Access): Promise<RemoteFile[]> {
  const names: string[] = [];
  const files: RemoteFile[] = [];
  for await (const entry of listFiles({ ...access, repo: id.model, revision: commit })) {
    names.push(entry.path);
    const wanted =
      entry.path === 'config.json' ||
      weightsPattern.test(entry.path) ||
      companionFiles.includes(entry.path);
    if (entry.type !== 'file' || !wanted) continue;
    const hash = entry.lfs?.oid ?? entry.oid ?? '';
    if (!hashPattern.test(hash)) throw new Error(`the hub states no hash for ${entry.path}`);
    files.push({
      name: entry.path,
      bytes: entry.size,
      hash,
      hashIsSha256: entry.lfs !== undefined,
    });
  }
  const single = files.some((file) => file.name === 'model.safetensors');
  const needed = files.filter((file) => !single || !/^model[-.].*(-of-|index)/.test(file.name));
  if (needed.some((file) => weightsPattern.test(file.name))) return needed;
  const pickled = names.some((name) => name.startsWith('pytorch_model'));
  throw new BallastError(
    'ERR_CHECKPOINT',
    `Expected safetensors weights in ${id.model}@${id.revision} but ` +
      `${pickled ? 'it has only pytorch_model files' : 'there are none'}; choose a revision that has them ` +
      '(conversions are often at @refs/pr/1 and the like), or convert the model and pass its directory.',
  );
}

async function content(id: HubId, commit: string, file: RemoteFile, access: Access) {
  // Plain HTTP (xet: false): the chunked protocol decodes in WebAssembly on the event loop.
  const blob = await downloadFile({
    ...access,
    repo: id.model,
    path: file.name,
    revision: commit,
    xet: false,
  });
  if (blob === null) throw new Error(`${file.name} is listed but not there`);
  return blob.stream();
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  report: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    report(chunk.byteLength);
    yield chunk;
  }
}

function explain(error: unknown, id: HubId, hubUrl: string): BallastError {
  const name = `${id.model}@${id.revision}`;
  const status = error instanceof HubApiError ? error.statusCode : undefined;
  const options = { cause: error };
  if (status === 401 || status === 403 || status === 404) {
    return new BallastError(
      'ERR_IO',
      `${name} is neither a directory here nor open to you on ${hubUrl} (status ${status}); check the spelling, and for ` +
        'a gated or private model accept its terms there and pass a token.',
      options,
    );
  }
  if (error instanceof TypeError) {
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    return new BallastError(
      'ERR_IO',
      `There is no directory ${id.model}, and ${hubUrl} cannot be asked for it: ${reason}; check the path or the network.`,
      options,
    );
  }
  return ioError(error, `fetching ${name}`, hubUrl);
}
