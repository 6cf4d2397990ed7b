// The list of devices: always the CPU, and either GPUs or the reason why there is none.

import { totalmem } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { Device, deviceNames, listDevices, openDevices } from '../../lib/device/index.js';
import { gpus } from './harness.js';

describe('devices', () => {
  it('names the CPU first, and what else there is or why it is not', () => {
    const [cpu, ...others] = listDevices();
    expect(cpu).toMatchObject({ name: 'cpu', available: true });
    expect(others.length).toBeGreaterThan(0);
    for (const { name, available, description } of others) {
      expect(name).toMatch(available ? /^cuda:\d+$/ : /^cuda(:\d+)?$/);
      expect(description.length).toBeGreaterThan(10);
    }
  });

  it.skipIf(gpus.length > 0)('says why CUDA is absent when it is asked for', () => {
    const reason = listDevices().find(({ name }) => name === 'cuda')?.description;
    expect(() => Device.open('cuda:0')).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: `Expected an available device but received 'cuda:0'; available: cpu. cuda: ${reason}`,
      }),
    );
  });

  it('refuses names that no device has', () => {
    for (const name of ['gpu', 'cuda:', 'cuda:-1', 'cuda:99', 'cuda:0x']) {
      expect(() => Device.open(name)).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }));
    }
  });

  it.each(['cpu', ...gpus])('%s tells what new tensors could take', async (name) => {
    const device = Device.open(name);
    const before = device.availableBytes;
    expect(before).toBeGreaterThan(0);
    const tensor = device.zeros('float32', [2 ** 22]);
    await device.synchronize();
    // The host's memory is other programs' too, and given in pages once they are written.
    const most = name === 'cpu' ? totalmem() : before - 4 * tensor.elements;
    expect(device.availableBytes).toBeLessThanOrEqual(most);
    device.close();
  });

  it('takes lists, the CPU as often as it is named, and cuda for every GPU', () => {
    expect(deviceNames('cpu')).toEqual(['cpu']);
    expect(deviceNames(['cpu', 'cpu'])).toEqual(['cpu', 'cpu']);
    expect(deviceNames(['cpu', 'cuda'])).toEqual(['cpu', ...(gpus.length > 0 ? gpus : ['cuda'])]);
    expect(() => deviceNames(['cuda:0', 'cpu', 'cuda:0'])).toThrow(
      expect.objectContaining({ code: 'ERR_ARGUMENT' }),
    );
    using opened = openDevices(['cpu', 'cpu'], { threads: 1 });
    expect(opened.devices.map(({ name, description }) => [name, description])).toEqual([
      ['cpu', expect.stringMatching(/1 thread/)],
      ['cpu', expect.stringMatching(/1 thread/)],
    ]);
  });

  it('closes those of a list that were opened before one that is not there', () => {
    const close = vi.spyOn(Device.prototype, 'close');
    expect(() => openDevices(['cpu', 'cpu', 'cuda:99'])).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED' }),
    );
    expect(close).toHaveBeenCalledTimes(2);
    close.mockRestore();
  });
});
