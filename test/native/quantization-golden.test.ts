// Round-to-nearest on a trained model's first block against codes, scales and zeros that PyTorch found in float32.

import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import type { Device, DType, Tensor } from '../../lib/device/index.js';
import { gpus, instructionSets, openDevice } from './harness.js';

const model = '../shared/models/opt-7m/model.safetensors';
const golden = '../shared/golden/opt-7m-rtn-block0.safetensors';
const available = existsSync(model) && existsSync(golden);

async function open(device: Device, path: string): Promise<(name: string) => Tensor> {
  const { tensors } = await readHeader(path);
  return (name) => {
    const info = tensors.get(name);
    if (info === undefined) throw new Error(`${path} has no ${name}.`);
    return device.uploadFile(info.dtype as DType, info.shape, path, info.offset);
  };
}

describe.skipIf(!available).each([...instructionSets, ...gpus])(
  'golden codes (%s)',
  (instructionSet) => {
    const device = openDevice(instructionSet);
    const linears = ['self_attn.q_proj', 'fc1', 'fc2'].flatMap((linear) => [
      [linear, 'w4g-1', 4, 0] as const,
      [linear, 'w3g-1', 3, 0] as const,
      [linear, 'w2g64', 2, 64] as const,
    ]);

    it.each(linears)('%s %s', async (linear, scheme, bits, groupSize) => {
      const weight = (await open(device, model))(`model.decoder.layers.0.${linear}.weight`);
      const expected = await open(device, golden);
      const { scales, zeros } = device.findScales(weight, {
        bits,
        groupSize,
        symmetric: false,
        clipSteps: 0,
        clipRange: 0,
        clipExponent: 2,
        scaleDtype: 'float32',
      });
      const made = { codes: device.quantize(weight, scales, zeros, bits), scales, zeros };
      for (const [part, tensor] of Object.entries(made)) {
        const bytes = await expected(`${linear}.${scheme}.${part}`).read();
        expect(Buffer.from(await tensor.read()).equals(Buffer.from(bytes)), part).toBe(true);
      }
    });
  },
);
