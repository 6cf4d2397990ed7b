// A hub in one process: the few answers of the Hugging Face API that fetching a model needs, over real HTTP.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export const commit = 'c'.repeat(40);

export interface Hub {
  readonly endpoint: string;
  /** Method and path of every request so far. */
  readonly requests: string[];
  stop(): Promise<void>;
}

export interface HubContent {
  readonly model: string;
  readonly files: Record<string, Buffer>;
  /** Without it every request is refused. */
  readonly token?: string;
  /** Replaces the bytes that are sent, not those that are described. */
  readonly corrupt?: (name: string, bytes: Buffer) => Buffer;
}

/** Starts a hub that lasts as long as the test. */
export async function startHub(content: HubContent): Promise<Hub> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url?.split('?')[0]}`);
    serve(content, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  onTestFinished(stop);
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, requests, stop };
}

function serve(content: HubContent, request: IncomingMessage, response: ServerResponse): void {
  const { model, token } = content;
  const path = decodeURIComponent(request.url?.split('?')[0] ?? '');
  if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
    response.writeHead(401).end();
  } else if (path.startsWith(`/api/models/${model}/revision/`)) {
    sendJson(response, { _id: '1', id: model, sha: commit });
  } else if (path === `/api/models/${model}/tree/${commit}`) {
    sendJson(response, Object.entries(content.files).map(describeFile));
  } else {
    const name = path.replace(`/${model}/resolve/${commit}/`, '');
    const file = content.files[name];
    if (file === undefined) response.writeHead(404).end();
    else sendFile(request, response, content.corrupt?.(name, file) ?? file);
  }
}

function describeFile([path, bytes]: [string, Buffer]) {
  const size = bytes.length;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(bytes).digest('hex');
  if (!path.endsWith('.safetensors')) return { type: 'file', path, size, oid };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { type: 'file', path, size, oid, lfs: { oid: sha256, size, pointerSize: 130 } };
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const etag = '"etag"';
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (range === null) {
    response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
    return;
  }
  const [first, last] = [Number(range[1]), Number(range[2])];
  const contentRange = `bytes ${first}-${last}/${bytes.length}`;
  response.writeHead(206, { etag, 'content-range': contentRange });
  response.end(bytes.subarray(first, last + 1));
}
