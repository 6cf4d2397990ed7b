// What waits for a caller's signal: one listener for all, none when nobody waits any more, and no warning of Node's.

import { getEventListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readDocuments } from '../lib/calibration/documents.js';
import { openDevices } from '../lib/device/index.js';
import { onAbort } from '../lib/on-abort.js';
import { temporaryFolder } from './places.js';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;
const warned = vi.fn();
process.on('warning', warned);
afterEach(() => warned.mockClear());
/** Warnings are told in a turn of their own. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

it('calls all who still wait, and listens as long as there are any', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const calls: number[] = [];
  const same = () => calls.push(0);
  const waiting = [same, same, () => calls.push(1)].map((body) => onAbort(signal, body));
  expect(listeners(signal)).toBe(1);
  waiting[0]?.[Symbol.dispose]();
  waiting[0]?.[Symbol.dispose]();
  controller.abort();
  expect(calls).toEqual([0, 1]);
  for (const one of waiting) one[Symbol.dispose]();
  expect(listeners(signal)).toBe(0);
});

it('listens anew after the last has gone', () => {
  const controller = new AbortController();
  const body = vi.fn();
  const first = onAbort(controller.signal, body);
  first[Symbol.dispose]();
  expect(listeners(controller.signal)).toBe(0);
  using _second = onAbort(controller.signal, body);
  first[Symbol.dispose]();
  expect(listeners(controller.signal)).toBe(1);
  controller.abort();
  expect(body).toHaveBeenCalledTimes(1);
});

it('calls at once where the signal has fired, and never without a signal', () => {
  const body = vi.fn();
  onAbort(undefined, body)[Symbol.dispose]();
  expect(body).not.toHaveBeenCalled();
  onAbort(AbortSignal.abort(), body)[Symbol.dispose]();
  expect(body).toHaveBeenCalledTimes(1);
});

it('a dozen jobs on one signal bring no warning', async () => {
  const { signal } = new AbortController();
  const path = join(await temporaryFolder(), 'texts.jsonl');
  await writeFile(path, '{"text": "one"}\n'.repeat(2));
  const opened = Array.from({ length: 12 }, () => openDevices('cpu', { threads: 1, signal }));
  await Promise.all(opened.map(() => readDocuments(path, { signal })));
  await turn();
  expect(listeners(signal)).toBe(1);
  for (const devices of opened) devices[Symbol.dispose]();
  expect(listeners(signal)).toBe(0);
  expect(warned).not.toHaveBeenCalled();
});
