// Activations of a block on a device: what linears see, attention of quantized operands, and the file that holds it all.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ActivationQuantizer,
  BlockActivations,
  uniformQuantizer,
} from '../../lib/activations/index.js';
import { Device } from '../../lib/device/index.js';
import { activationFile, readActivations } from '../../lib/execution/activation-file.js';
import { at, expectClose, float32, normals } from '../native/harness.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const uniform = uniformQuantizer({ low: -2, high: 3 }, { bits: 3, symmetric: false });

describe('inputs of linears', () => {
  it('are on the grid, once for linears that share an input; others stay as they are', async () => {
    using activations = new BlockActivations(device, { inputs: { a: uniform, b: uniform } });
    const x = float32(device, [4, 6], normals(24, 1, 2));
    const seen = activations.input('a', x);
    expect(activations.input('b', x)).toBe(seen);
    expect(activations.input('c', x)).toBe(x);
    expect(activations.attend).toBeUndefined();
    const { scale, zero } = uniform;
    const values = await x.readFloat32();
    const expected = values.map((value) => {
      const code = Math.min(Math.max(Math.round(value / scale) + zero, 0), 7);
      return scale * (code - zero);
    });
    expectClose(await seen.readFloat32(), expected, 1e-6);
    seen.dispose();
    expect(activations.input('a', x).disposed).toBe(false);
  });

  it('have a range of their own for each token where that is asked for', async () => {
    const quantizer = { kind: 'dynamic', bits: 2, symmetric: false, granularity: 'token' } as const;
    using activations = new BlockActivations(device, { inputs: { a: quantizer } });
    const x = float32(device, [2, 3], [0, 1, 3, 0, 100, 300]);
    expectClose(await activations.input('a', x).readFloat32(), [0, 1, 3, 0, 100, 300], 1e-4);
  });
});

describe('attention of quantized operands', () => {
  const options = { sequence: 9, heads: 2, scale: 0.5, causal: false };
  const operand = (seed: number) => float32(device, [18, 8], normals(144, seed));
  const of = (bits: number): ActivationQuantizer => ({
    kind: 'dynamic',
    bits,
    symmetric: false,
    granularity: 'tensor',
  });

  async function difference(bits: number): Promise<number> {
    const quantizer = of(bits);
    using activations = new BlockActivations(device, {
      inputs: {},
      attention: { query: quantizer, key: quantizer, probabilities: quantizer, value: quantizer },
    });
    const [q, k, v] = [operand(1), operand(2), operand(3)];
    const quantized = await activations.attend?.(q, k, v, options).readFloat32();
    const float = await device.attention(q, k, v, options).readFloat32();
    return Math.max(...float.map((value, i) => Math.abs(value - at(quantized ?? [], i))));
  }

  it('comes as near to attention as the bits allow', async () => {
    expect(await difference(8)).toBeLessThan(0.03);
    expect(await difference(8)).toBeGreaterThan(1e-4);
    expect(await difference(3)).toBeGreaterThan(0.1);
  });
});

describe('the file beside the weights', () => {
  const read = async (content: unknown, blocks = 1) => {
    const directory = mkdtempSync(join(tmpdir(), 'ballast-activations-'));
    try {
      writeFileSync(join(directory, activationFile), JSON.stringify(content));
      return await readActivations(directory, blocks);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  it('gives back what was written', async () => {
    const blocks = [{ inputs: { a: uniform } }];
    expect(await read({ blocks })).toEqual(blocks);
  });

  it.each<[string, unknown, RegExp]>([
    ['too few blocks', { blocks: [] }, /an entry for each of 1 blocks/],
    ['no inputs', { blocks: [{}] }, /the inputs of each block/],
    ['an unknown kind', { blocks: [{ inputs: { a: { kind: 'log' } } }] }, /the kind of a/],
    [
      'a scale of zero',
      { blocks: [{ inputs: { a: { ...uniform, scale: 0 } } }] },
      /a number above 0 for scale of a/,
    ],
    [
      'half of attention',
      { blocks: [{ inputs: {}, attention: { query: uniform } }] },
      /attention with query, key, probabilities, value/,
    ],
  ])('is refused with %s', async (_, content, message) => {
    await expect(read(content)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_CHECKPOINT', message: expect.stringMatching(message) }),
    );
  });
});
