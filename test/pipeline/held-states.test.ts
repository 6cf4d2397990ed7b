// What later passes over a block start from: final states alone, the furthest of them, and memory that is given back.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device, type Tensor } from '../../lib/device/index.js';
import type { Linear } from '../../lib/models/index.js';
import { HeldStates } from '../../lib/pipeline/held-states.js';
import type { BlockRun } from '../../lib/pipeline/observe.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 1 });
});
afterAll(() => device.close());

/** A block of three linears, held after the first and after the second. */
const run: BlockRun = (x, linear, hold = (_, compute) => compute()) =>
  linear(
    'third',
    hold('middle', () =>
      linear(
        'second',
        hold('attended', () => linear('first', x)),
      ),
    ),
  );

/** Adds one, and notes which linear did. */
function counting(calls: string[]): Linear {
  return (name, x) => {
    calls.push(name);
    return device.add(x, device.upload('float32', [1], Float32Array.of(1)));
  };
}

function states(final: readonly string[]) {
  const held = new HeldStates((name) => final.includes(name));
  const x = device.upload('float32', [1, 1], Float32Array.of(0));
  const pass = (keep: boolean) => {
    const calls: string[] = [];
    const y = device.scope(() => held.run(0, x, run, counting(calls), keep));
    return { calls, y };
  };
  return { held, pass };
}

const firstOf = async (tensor: Tensor) => (await tensor.readFloat32())[0];

it('starts a later pass from the furthest point that only final linears have made', async () => {
  const { held, pass } = states(['first']);
  expect(pass(true).calls).toEqual(['first', 'second', 'third']);
  const { calls, y } = pass(true);
  expect(calls).toEqual(['second', 'third']);
  expect(await firstOf(y)).toBe(3);
  held.release(0);
  expect(pass(true).calls).toEqual(['first', 'second', 'third']);
});

it('moves on as more becomes final', async () => {
  const final = ['first'];
  const { pass } = states(final);
  pass(true);
  final.push('second');
  expect(pass(true).calls).toEqual(['second', 'third']);
  const { calls, y } = pass(false);
  expect(calls).toEqual(['third']);
  expect(await firstOf(y)).toBe(3);
});

it('holds nothing that is not final, and nothing where it is not asked to', () => {
  const open = states([]);
  open.pass(true);
  expect(open.pass(true).calls).toHaveLength(3);
  const last = states(['first', 'second', 'third']);
  last.pass(false);
  expect(last.pass(false).calls).toHaveLength(3);
});
