// How samples enter a model: mini-batches are dealt to the run's devices in turn, and embedded where they will stay. The
// fitted ones and those that judge are each dealt from the first device on, so that it has some of both.

import type { Device } from '../device/index.js';
import {
  dealt,
  type Input,
  loadWeights,
  mapBatches,
  PerDevice,
  uploadInput,
} from '../execution/index.js';
import { batchesOf, type CalibrationData } from './calibration-data.js';
import { Paths, type Run } from './run.js';

export async function enterModel(run: Run, data: CalibrationData): Promise<Paths> {
  const { devices, checkpoint, model, context, throwIfAborted } = run;
  using embeddings = await PerDevice.load(devices, (device) =>
    loadWeights(device, checkpoint, model.embedTensors),
  );
  const { fitted, heldOut } = batchesOf(data);
  const inputs = [...fitted, ...heldOut];
  const enter = (batch: number, device: Device) => {
    const ids = uploadInput(device, inputs[batch] as Input);
    return model.embed(ids, embeddings.of(device), { ...context, device });
  };
  const places = [...dealt(devices, fitted), ...dealt(devices, heldOut)];
  return new Paths(await mapBatches(places, enter, throwIfAborted));
}
