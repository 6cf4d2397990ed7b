// SHA-256 of several parts, on this thread and on others.

import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256 } from '../../lib/export/digest.js';

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
