// The two ends of a language model: rows of a table by token id, and the loss of the next token.

import { expect, it } from 'vitest';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  int32,
  normals,
  openDevice,
} from './harness.js';

function loss(logits: Float32Array, target: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = logits.reduce((sum, x) => sum + Math.exp(x - top), 0);
  return top + Math.log(total) - at(logits, target);
}

describeDevices('embedding and cross-entropy', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);

  it.each(['float32', 'float16', 'bfloat16'] as const)(
    'looks up rows of a %s table',
    async (dtype) => {
      const [vocabulary, channels] = [50, 37];
      const table = device.cast(
        float32(device, [vocabulary, channels], normals(50 * 37, 1)),
        dtype,
      );
      const values = await device.cast(table, 'float32').readFloat32();
      const ids = [49, 0, 7, 7];
      const out = await device.embedding(int32(device, ids), table).readFloat32();
      const expected = ids.flatMap((id) => [
        ...values.subarray(id * channels, (id + 1) * channels),
      ]);
      expect([...out]).toEqual(expected);
    },
  );

  it.each([50, -1])('refuses token id %i of a vocabulary of 50', async (id) => {
    const table = float32(device, [50, 4], normals(200, 1));
    const out = device.embedding(int32(device, [3, id]), table);
    await expect(out.read()).rejects.toMatchObject({
      code: 'ERR_SHAPE',
      message: `Expected token ids from 0 to 49 but received ${id} at position 1.`,
    });
  });

  it.each([1, 7, 16, 100, 8192])('cross-entropy over a vocabulary of %i', async (vocabulary) => {
    const logits = normals(3 * vocabulary, 2, 5);
    const targets = [0, vocabulary - 1, Math.floor(vocabulary / 2)];
    const out = device.crossEntropy(
      float32(device, [3, vocabulary], logits),
      int32(device, targets),
    );
    const expected = targets.map((target, row) =>
      loss(logits.subarray(row * vocabulary, (row + 1) * vocabulary), target),
    );
    expectClose(await out.readFloat64(), expected, 1e-6);
  });

  it('is 0 where the target is negative, and exact for equal or huge logits', async () => {
    const logits = [1, 2, 3, 4, 9, 9, 9, 9, 1e30, -1e30, 0, -Infinity];
    const out = device.crossEntropy(float32(device, [3, 4], logits), int32(device, [-1, 2, 0]));
    expectClose(await out.readFloat64(), [0, Math.log(4), 0], 1e-12);
  });

  it('refuses a target beyond the vocabulary', async () => {
    const out = device.crossEntropy(float32(device, [1, 4], [1, 2, 3, 4]), int32(device, [4]));
    await expect(out.read()).rejects.toThrow(
      'Expected targets below 4 but received 4 at position 0.',
    );
  });
});
