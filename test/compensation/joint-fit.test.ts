// The joint fit does not see the mean of the inputs: a constant added to every channel changes no code of a weight
// that is quantized against the covariance, and many of one that is quantized against the second moment.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device } from '../../lib/device/index.js';
import { quantizers } from '../../lib/quantizers/index.js';
import { at, float32, normals } from '../native/harness.js';
import { correlated, type Rows, statisticsOf } from './calibrated.js';

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 2 });
});
afterAll(() => device.close());

const [sequence, channels, out] = [16, 48, 20];
const weight = normals(out * channels, 5);
/** Multiples of 2⁻¹⁰, so that adding whole numbers is exact. */
const inputs: Rows = {
  channels,
  values: correlated(sequence * 40, channels, 1).values.map((x) => Math.round(x * 1024) / 1024),
};
const shifts = Float32Array.from({ length: channels }, (_, j) => (j % 7 === 0 ? 64 : (j % 5) - 2));
const shifted: Rows = {
  channels,
  values: inputs.values.map((value, i) => value + at(shifts, i % channels)),
};

const scheme = {
  bits: 3,
  groupSize: 0,
  symmetric: false,
  clip: 'none',
  scaleDtype: 'float32',
  superBlocks: false,
} as const;
const options = {
  damping: 0.01,
  actOrder: false,
  staticGroups: false,
  rounds: 3,
  order: 'cyclic',
  refit: 'none',
} as const;

async function codesOf(name: string, rows: Rows, centred: boolean): Promise<Uint8Array> {
  const quantizer = quantizers.find((candidate) => candidate.name === name);
  if (quantizer === undefined) throw new Error(name);
  using group = await statisticsOf(device, sequence, {}, { quantized: rows });
  const moment = centred ? group.inputs.covariance : group.inputs.secondMoment;
  using forGroup = await quantizer.forGroup({ device, moment, scheme, options });
  const { codes } = device.scope(() => forGroup.quantize(float32(device, [out, channels], weight)));
  return codes.readUint8();
}

const different = (a: Uint8Array, b: Uint8Array) => a.filter((code, i) => code !== b[i]).length;

it.each(quantizers.map(({ name }) => name))('%s', async (name) => {
  expect(await codesOf(name, shifted, true)).toEqual(await codesOf(name, inputs, true));
});

it('quantizing against the second moment would see the shift', async () => {
  const [plain, moved] = [
    await codesOf('gptq', inputs, false),
    await codesOf('gptq', shifted, false),
  ];
  expect(different(plain, moved)).toBeGreaterThan(0.05 * plain.length);
});
