// Linears of one stage that were observed together, on several devices at once where there are several: none of them reads
// what another makes. Each is quantized by one device, which is given the statistics of the group and leaves its result on
// the first, so that the result is what the first alone would make. Only devices of the first's kind take part: another would
// be waited for.

import { allOrNothing } from '../../all-or-nothing.js';
import type { Device } from '../../device/index.js';
import { copyLinear, onEach, type PerDevice } from '../../execution/index.js';
import { shapeOf } from '../../models/index.js';
import type { GroupParameters } from '../../quantizers/index.js';
import { Clock } from '../clock.js';
import { disposeParameters } from '../grids/linear-search.js';
import type { Run } from '../run.js';
import { type InputGroup, leaderOf, type ObservedGroup, observedOn } from './observe.js';
import { quantizeGroup } from './quantize-group.js';
import { disposeLinear, type QuantizedLinear } from './quantize-linear.js';
import type { Replica } from './replica.js';

interface StageWork {
  readonly run: Run;
  /** Block. */
  readonly index: number;
  readonly groups: readonly InputGroup[];
  readonly replicas: PerDevice<Replica>;
  /** Of linears whose scales were searched before, on the first device. */
  readonly parameters: ReadonlyMap<string, GroupParameters>;
  /** By the group's first linear, on the first device. */
  readonly observed: ReadonlyMap<string, ObservedGroup>;
}

/** On the first device, in the groups' order; the caller disposes them. */
export async function quantizeStage(work: StageWork): Promise<QuantizedLinear[]> {
  const { run, groups } = work;
  const places = placesOf(work);
  const done = new Map<string, QuantizedLinear>();
  try {
    const clocks = await onEach(run.devices, async (device, hasFailed) => {
      const clock = new Clock();
      for (const group of groups) {
        const names = group.filter((name) => places.get(name) === device);
        if (names.length === 0) continue;
        if (hasFailed()) break;
        for (const linear of await quantizeOn(device, clock, work, group, names)) {
          done.set(linear.name, linear);
        }
      }
      return clock;
    });
    run.clock.addSlowest(clocks);
    for (const linear of done.values()) {
      done.set(linear.name, await run.clock.measure('propagate', () => moved(linear, run.device)));
    }
    return groups.flat().map((name) => done.get(name) as QuantizedLinear);
  } catch (error) {
    for (const linear of done.values()) disposeLinear(linear);
    throw error;
  }
}

/**
 * The device of each linear: in their order the one that will have done it first. The sweep over an [out, in] weight costs
 * out · in², and what linears of a group share, a factorisation, in³ once on every device that has one of them.
 */
export function placesOf({
  run,
  index,
  groups,
}: Pick<StageWork, 'run' | 'index' | 'groups'>): Map<string, Device> {
  const { device, devices, prepared, quantizer, model } = run;
  const kindOf = ({ name }: Device) => name.split(':')[0];
  // Prepared weights lie on the first.
  const able = prepared ? [device] : devices.filter((other) => kindOf(other) === kindOf(device));
  const loads = new Map(able.map((place) => [place, 0]));
  const places = new Map<string, Device>();
  const specs = new Map(shapeOf(model, index).linears.map((linear) => [linear.name, linear]));
  for (const group of groups) {
    const begun = new Set<Device>();
    for (const name of group) {
      const { inChannels = 0, outChannels = 0 } = specs.get(name) ?? {};
      const shared = quantizer.needsMoment ? inChannels ** 3 : 0;
      const after = (place: Device) =>
        (loads.get(place) ?? 0) + outChannels * inChannels ** 2 + (begun.has(place) ? 0 : shared);
      const place = able.reduce((best, other) => (after(other) < after(best) ? other : best));
      loads.set(place, after(place));
      begun.add(place);
      places.set(name, place);
    }
  }
  return places;
}

async function quantizeOn(
  device: Device,
  clock: Clock,
  { run, index, replicas, observed, parameters }: StageWork,
  group: InputGroup,
  names: readonly string[],
): Promise<QuantizedLinear[]> {
  const statistics = observed.get(leaderOf(group));
  if (statistics === undefined) throw new RangeError(`No statistics of ${leaderOf(group)}.`);
  const placed = new Map<string, GroupParameters>();
  try {
    using seen = await clock.measure('calibrate', () => observedOn(device, statistics));
    for (const name of names) {
      const found = parameters.get(name);
      if (found === undefined) continue;
      const copied = await allOrNothing(async (own) => ({
        scales: await own(found.scales.copyTo(device)),
        zeros: await own(found.zeros.copyTo(device)),
      }));
      placed.set(name, copied);
    }
    const find = (name: string) => replicas.of(device).weightsOf(name);
    return await quantizeGroup({
      ...{ run: { ...run, device, clock }, index, group, names, find },
      ...{ parameters: placed, observed: seen },
    });
  } finally {
    disposeParameters(placed);
  }
}

/** Takes the linear's place. */
async function moved(linear: QuantizedLinear, device: Device): Promise<QuantizedLinear> {
  if (linear.weight.device === device) return linear;
  const { codes } = linear;
  const there = await allOrNothing(async (own) => ({
    ...linear,
    codes: codes && {
      codes: await own(codes.codes.copyTo(device)),
      scales: await own(codes.scales.copyTo(device)),
      zeros: await own(codes.zeros.copyTo(device)),
      groupIndex: await own(codes.groupIndex?.copyTo(device)),
      damping: await own(codes.damping?.copyTo(device)),
    },
    ...(await copyLinear(linear, device)),
  }));
  disposeLinear(linear);
  return there;
}
