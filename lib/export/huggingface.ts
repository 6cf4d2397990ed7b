// The format 'huggingface': the source's layout with dequantized weights in the source's dtypes and folded biases,
// so that whatever loads the source loads the result.

import type { ExportFormat } from './format.js';
import type { LinearLayout } from './safetensors-layout.js';
import { openLayoutReader } from './safetensors-reader.js';
import { openLayoutWriter } from './safetensors-writer.js';

const layout: LinearLayout = {
  plan({ spec, dtype }) {
    const { inChannels, outChannels } = spec;
    const shape = spec.layout === 'in_out' ? [inChannels, outChannels] : [outChannels, inChannels];
    return [{ name: 'weight', dtype, shape }];
  },
  async pack(device, { weight }, { spec, dtype }) {
    using stored = device.scope(() => {
      const converted = device.cast(weight, dtype);
      return spec.layout === 'in_out' ? device.transpose(converted) : converted;
    });
    return { weight: new Uint8Array(await stored.read()) };
  },
  async unpack(device, read, { spec, dtype }) {
    const bytes = await read('weight');
    const { inChannels, outChannels } = spec;
    const weight = device.scope(() =>
      spec.layout === 'in_out'
        ? device.transpose(device.upload(dtype, [inChannels, outChannels], bytes))
        : device.upload(dtype, [outChannels, inChannels], bytes),
    );
    return { weight };
  },
  config: () => ({}),
};

export const huggingface: ExportFormat = {
  name: 'huggingface',
  summary: 'dequantized weights in the source’s layout and dtypes',
  open: (input) => openLayoutWriter(input, layout),
  read: (input) => openLayoutReader(input, layout),
};
