// SHA-256 of several parts, on this thread and on others.

import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { sha256 } from '../../lib/export/digest.js';
import { WorkerConnection } from '../../lib/worker-connection.js';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function expected(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

const buffersOf = (parts: readonly Uint8Array[]) =>
  parts.map((part) => new Uint8Array(part).buffer);

it.each([
  ['little', 1000],
  ['much', 1 << 23],
])('digests %s', async (_, bytes) => {
  const parts = [randomBytes(bytes), randomBytes(30)];
  const { digest, parts: back } = await sha256(buffersOf(parts));
  expect(digest).toBe(expected(parts));
  expect(back.map((part) => Buffer.from(part).equals(parts.shift() as Buffer))).toEqual([
    true,
    true,
  ]);
});

it('tells digests that are under way at once apart', async () => {
  const inputs = Array.from({ length: 6 }, () => [randomBytes(1 << 23), randomBytes(4)]);
  const digests = await Promise.all(inputs.map((parts) => sha256(buffersOf(parts))));
  expect(digests.map(({ digest }) => digest)).toEqual(inputs.map(expected));
});

it('closes threads that rest, and starts others for the next digest', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const close = vi.spyOn(WorkerConnection.prototype, 'close');
  const parts = [randomBytes(1 << 23)];
  await sha256(buffersOf(parts));
  vi.advanceTimersByTime(9_999);
  expect(close).not.toHaveBeenCalled();
  const next = sha256(buffersOf(parts));
  vi.advanceTimersByTime(1);
  expect(close).not.toHaveBeenCalled();
  await next;
  vi.advanceTimersByTime(10_000);
  const closed = new Set(close.mock.contexts);
  expect(closed.size).toBeGreaterThan(0);
  expect((await sha256(buffersOf(parts))).digest).toBe(expected(parts));
  vi.advanceTimersByTime(10_000);
  expect(new Set(close.mock.contexts).size).toBe(closed.size + 1);
});
