// Rotary embedding against the definition, in both pairings, with channels that are not rotated.

import { describe, expect, it } from 'vitest';
import {
  at,
  describeDevices,
  expectClose,
  float32,
  instructionSets,
  normals,
  openDevice,
} from './harness.js';

const [tokens, sequence, heads, headSize] = [9, 4, 3, 40];

describeDevices('rope', instructionSets, (instructionSet) => {
  const device = openDevice(instructionSet);

  describe.each([20, 17, 4])('%i pairs of 40 channels', (half) => {
    it.each([false, true])('interleaved %s', async (interleaved) => {
      const x = normals(tokens * heads * headSize, 1);
      const angles = normals(sequence * half, 2);
      const expected = Float64Array.from(x);
      for (let token = 0; token < tokens; ++token) {
        for (let pair = 0; pair < heads * half; ++pair) {
          const [head, i] = [Math.floor(pair / half), pair % half];
          const begin = (token * heads + head) * headSize;
          const first = begin + (interleaved ? 2 * i : i);
          const second = interleaved ? first + 1 : first + half;
          const angle = at(angles, (token % sequence) * half + i);
          expected[first] = at(x, first) * Math.cos(angle) - at(x, second) * Math.sin(angle);
          expected[second] = at(x, second) * Math.cos(angle) + at(x, first) * Math.sin(angle);
        }
      }
      const out = device.rope(
        float32(device, [tokens, heads * headSize], x),
        float32(device, [sequence, half], angles.map(Math.cos)),
        float32(device, [sequence, half], angles.map(Math.sin)),
        { sequence, headSize, interleaved },
      );
      expectClose(await out.readFloat32(), expected, 1e-6);
    });
  });

  it('leaves the first position alone where the angle is zero', async () => {
    const x = normals(heads * headSize, 3);
    const out = device.rope(
      float32(device, [1, heads * headSize], x),
      float32(device, [1, 20], new Float32Array(20).fill(1)),
      float32(device, [1, 20], new Float32Array(20)),
      { sequence: 1, headSize },
    );
    expect(await out.readFloat32()).toEqual(x);
  });
});
