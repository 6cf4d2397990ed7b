// Reads linears back from a result of safetensors files; see safetensors-layout.ts.

import { loadTensor } from '../checkpoint/load-tensor.js';
import { readTensor } from '../checkpoint/read-tensor.js';
import { BallastError } from '../errors.js';
import type { ExportReader, ReadInput } from './format.js';
import { openWritten } from './joined-parts.js';
import type { LinearLayout, StoredTensors } from './safetensors-layout.js';

export async function openLayoutReader(
  { device, directory, model, grid }: ReadInput,
  layout: LinearLayout,
): Promise<ExportReader> {
  const checkpoint = await openWritten(directory, model);
  return {
    tensor: (name, dtype) =>
      loadTensor(device, checkpoint, name, dtype === undefined ? {} : { dtype }),
    async linear(block, spec, dtype) {
      const name = `${model.blockName(block)}.${spec.name}`;
      const place = { spec, name, dtype, grid };
      const shapes = new Map(layout.plan(place).map((tensor) => [tensor.name, tensor]));
      const find = (suffix: string) => {
        const info = checkpoint.tensor(`${name}.${suffix}`);
        const planned = shapes.get(suffix);
        if (info.dtype === planned?.dtype && `${info.shape}` === `${planned.shape}`) return info;
        throw new BallastError(
          'ERR_CHECKPOINT',
          `Expected ${planned?.dtype} [${planned?.shape}] for ${info.name} but ${info.file} holds ` +
            `${info.dtype} [${info.shape}]; the file is not what was exported: export it again.`,
        );
      };
      const tensors: StoredTensors = {
        bytes: (suffix) => readTensor(find(suffix)),
        tensor: (suffix) => loadTensor(device, checkpoint, find(suffix).name),
      };
      const stored = await layout.unpack(device, tensors, place);
      // A bias that config.json does not announce is read by nobody.
      if (!spec.bias) return stored;
      return {
        ...stored,
        bias: loadTensor(device, checkpoint, `${name}.bias`, { dtype: 'float32' }),
      };
    },
  };
}
