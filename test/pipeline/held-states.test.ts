// What later passes over a block start from: final states alone, the furthest of them, what memory is to spare for, and
// memory that is given back.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import type { Hold, Linear } from '../../lib/models/index.js';
import { HeldStates } from '../../lib/pipeline/blocks/held-states.js';
import type { BlockRun } from '../../lib/pipeline/blocks/observe.js';
import { SpareMemory } from '../../lib/pipeline/memory/spare-memory.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 1 });
});
afterAll(() => device.close());

const computed: Hold = (_, compute) => compute();

/** A block of four linears, held after each but the last. */
const run: BlockRun = (x, linear, { hold = computed } = {}) => {
  const middle = hold('middle', () =>
    linear(
      'second',
      hold('attended', () => linear('first', x)),
    ),
  );
  return linear(
    'fourth',
    hold('inner', () => linear('third', middle)),
  );
};

/** Adds one, and notes which linear did. */
function counting(calls: string[]): Linear {
  return (name, x) => {
    calls.push(name);
    return device.add(x, device.upload('float32', [x.cols], new Float32Array(x.cols).fill(1)));
  };
}

/** With so many numbers to spare. */
function states(final: readonly string[], spare = 0) {
  const memory = SpareMemory.of([device], 4 * spare, 0);
  const held = new HeldStates(
    (name) => final.includes(name),
    memory,
    () => undefined,
  );
  const x = device.upload('float32', [1, 1], Float32Array.of(0));
  const pass = (keep: boolean, batch = 0, unread?: ReadonlyMap<string, number>) => {
    const calls: string[] = [];
    const y = device.scope(() =>
      held.run(batch, x, { run, linear: counting(calls), unread }, keep),
    );
    return { calls, y };
  };
  return { held, pass };
}

const all = ['first', 'second', 'third', 'fourth'];
const firstOf = async (tensor: Tensor) => (await tensor.readFloat32())[0];

it('starts a later pass from the furthest point that only final linears have made', async () => {
  const { held, pass } = states(['first']);
  expect(pass(true).calls).toEqual(all);
  const { calls, y } = pass(true);
  expect(calls).toEqual(all.slice(1));
  expect(await firstOf(y)).toBe(4);
  held.release(0);
  expect(pass(true).calls).toEqual(all);
});

it('moves on as more becomes final', async () => {
  const final = ['first'];
  const { pass } = states(final);
  pass(true);
  final.push('second');
  expect(pass(true).calls).toEqual(all.slice(1));
  const { calls, y } = pass(false);
  expect(calls).toEqual(all.slice(2));
  expect(await firstOf(y)).toBe(4);
});

it('holds nothing that is not final, and nothing where it is not asked to', () => {
  const open = states([], 1);
  open.pass(true);
  expect(open.pass(true).calls).toEqual(all);
  const last = states(all, 1);
  last.pass(false);
  expect(last.pass(false).calls).toEqual(all);
});

it('holds nothing behind a linear that is not executed', () => {
  const { pass } = states(all, 10);
  pass(true, 0, new Map([['third', 1]]));
  expect(pass(true).calls).toEqual(['third', 'fourth']);
  expect(pass(true).calls).toEqual(['fourth']);
});

it('holds what the last linear reads as far as memory is to spare', async () => {
  const { held, pass } = states(all.slice(0, 3), 1);
  for (const batch of [0, 1]) pass(true, batch);
  const { calls, y } = pass(true, 0);
  expect(calls).toEqual(['fourth']);
  expect(await firstOf(y)).toBe(4);
  expect(pass(true, 1).calls).toEqual(['third', 'fourth']);
  held.release(0);
  expect(pass(true, 1).calls).toEqual(['third', 'fourth']);
  expect(pass(true, 1).calls).toEqual(['fourth']);
});

it('counts what is wider than the states as to spare', () => {
  const wide: BlockRun = (x, linear, { hold = computed } = {}) =>
    linear(
      'second',
      hold('attended', () => device.selectColumns(linear('first', x), index)),
    );
  const index = device.upload('int32', [2], Int32Array.of(0, 0));
  const callsAgain = (spare: number) => {
    const memory = SpareMemory.of([device], 4 * spare, 0);
    const held = new HeldStates(
      () => true,
      memory,
      () => undefined,
    );
    const x = device.upload('float32', [1, 1], Float32Array.of(0));
    const calls: string[] = [];
    for (let pass = 0; pass < 2; pass++) {
      device.scope(() => held.run(0, x, { run: wide, linear: counting(calls) }, true));
    }
    return calls.slice(2);
  };
  expect(callsAgain(1)).toEqual(['first', 'second']);
  expect(callsAgain(2)).toEqual(['second']);
});
