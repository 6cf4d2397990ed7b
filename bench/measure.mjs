// How everything here is timed: enough calls to fill a stretch of time, queue and event loop included; pairs of turns,
// ours and the peer's, and the median of their ratios.
import { setTimeout } from 'node:timers/promises';

/** Long enough that the peer's threads have stopped spinning. */
const restMs = 30;

export const median = (numbers) =>
  numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)];

/** Work between two waits, as much as a mini-batch is to the pipeline. */
const groupMs = 10;

/** Seconds of one call of `enqueue`. */
export async function secondsOf(device, enqueue, leastSeconds = 0.1) {
  const begin = performance.now();
  let calls = 0;
  for (let group = 1; ; ) {
    const from = performance.now();
    for (let call = 0; call < group; call++) device.scope(() => void enqueue());
    await device.synchronize();
    calls += group;
    const now = performance.now();
    if (now - begin >= 1e3 * leastSeconds) return (now - begin) / 1e3 / calls;
    if (now - from < groupMs) group *= 2;
  }
}

/**
 * One row of the results: our median seconds over `pairs` turns and, with a peer, its median seconds and the median
 * ratio of the pairs (above 1 we are the faster); with `beside`, another call of ours that takes turns too, the median
 * ratio of its seconds to these.
 */
export async function compare({
  device,
  enqueue,
  beside,
  peer,
  request,
  pairs,
  leastSeconds = 0.1,
}) {
  for (const call of [enqueue, beside]) if (call !== undefined) device.scope(() => void call());
  await device.synchronize();
  const own = [];
  const ofPeer = [];
  const ofBeside = [];
  for (let pair = 0; pair < pairs; pair++) {
    if (peer !== undefined && request !== undefined) {
      const asked = { dtype: 'float32', ...request, seconds: leastSeconds };
      ofPeer.push((await peer.ask(asked)).seconds);
      await setTimeout(restMs);
    }
    if (beside !== undefined) ofBeside.push(await secondsOf(device, beside, leastSeconds));
    own.push(await secondsOf(device, enqueue, leastSeconds));
  }
  const ratioTo = (others) => median(others.map((seconds, pair) => seconds / own[pair]));
  return {
    seconds: median(own),
    ...(ofPeer.length > 0 && { peerSeconds: median(ofPeer), ratio: ratioTo(ofPeer) }),
    ...(ofBeside.length > 0 && { besideRatio: ratioTo(ofBeside) }),
  };
}

/** Uniform numbers around 0, the same in each run: a stretch of them, repeated. */
export function randomFloats(count, seed = 1) {
  const values = new Float32Array(count);
  const stretch = Math.min(count, 999_983); // a prime: rows of a matrix differ
  let state = seed;
  for (let i = 0; i < stretch; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 32 - 0.5;
  }
  for (let i = stretch; i < count; i += stretch) {
    values.copyWithin(i, 0, Math.min(stretch, count - i));
  }
  return values;
}

/** A matrix of them. */
export function randomMatrix(device, rows, columns, dtype = 'float32') {
  const values = randomFloats(rows * columns, rows + columns);
  const tensor = device.upload('float32', [rows, columns], values);
  if (dtype === 'float32') return tensor;
  const cast = device.cast(tensor, dtype);
  tensor.dispose();
  return cast;
}
