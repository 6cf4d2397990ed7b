import { describe, expect, it, onTestFinished } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { loadTensor } from '../../lib/checkpoint/load-tensor.js';
import { Device } from '../../lib/device/index.js';
import { modelDirectory, safetensorsBytes } from './files.js';

// Half precision: 1 is 0x3c00, -2 is 0xc000. An odd header length leaves the data unaligned in the file.
const header = {
  half: { dtype: 'F16', shape: [1, 2], data_offsets: [0, 4] },
  tiny: { dtype: 'F8_E4M3', shape: [1], data_offsets: [4, 5] },
};
const data = Buffer.from([0x00, 0x3c, 0x00, 0xc0, 0x38]);

async function open() {
  const unaligned = [0, 1, 2].map((spaces) => JSON.stringify(header) + ' '.repeat(spaces));
  const text = unaligned.find((candidate) => candidate.length % 2 === 1) ?? '';
  const directory = await modelDirectory({ 'model.safetensors': safetensorsBytes(text, data) });
  const device = Device.open('cpu', { threads: 1 });
  onTestFinished(() => device.close());
  return { device, checkpoint: await Checkpoint.open(directory) };
}

describe('loadTensor', () => {
  it('gives the tensor in its own type or cast, wherever it lies in the file', async () => {
    const { device, checkpoint } = await open();
    const half = loadTensor(device, checkpoint, 'half');
    expect([half.dtype, half.shape]).toEqual(['float16', [1, 2]]);
    expect(new Uint16Array(await half.read())).toEqual(Uint16Array.of(0x3c00, 0xc000));
    const single = loadTensor(device, checkpoint, 'half', { dtype: 'float32' });
    expect(await single.readFloat32()).toEqual(Float32Array.of(1, -2));
  });

  it('refuses an absent tensor and a type without arithmetic', async () => {
    const { device, checkpoint } = await open();
    expect(() => loadTensor(device, checkpoint, 'none')).toThrow(/tensor 'none'/);
    expect(() => loadTensor(device, checkpoint, 'tiny')).toThrow(
      /tensor 'tiny' but .*model.safetensors holds float8_e4m3fn/,
    );
  });
});
