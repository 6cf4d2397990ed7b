// What a conversion may not change: the grid, the codes and the biases, which were fitted on each other. Each check
// refuses, with what to do instead, a format that would.

import type { Client } from '../clients.js';
import type { Device, Tensor } from '../device/index.js';
import { BallastError } from '../errors.js';
import type { LinearSpec } from '../models/index.js';
import type { QuantizedWeight } from '../quantizers/index.js';
import { expectGrid } from './expect-grid.js';
import type { ExportFormat, Grid, StoredLinear } from './format.js';

/** Error ERR_UNSUPPORTED for a grid that the format cannot hold. */
export function expectGridHolds(
  grid: Grid,
  format: ExportFormat,
  client: Client | undefined,
): void {
  try {
    expectGrid(format, grid, client);
  } catch (error) {
    if (!(error instanceof BallastError)) throw error;
    const { message } = error;
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `${message.replace(/\.$/, '')}; this grid was made for another format: quantize again with format ${format.name}.`,
      { cause: error },
    );
  }
}

/** Error ERR_UNSUPPORTED for a linear whose codes the result does not tell. */
export function expectCodes(
  name: string,
  { codes }: StoredLinear,
  format: ExportFormat,
): QuantizedWeight {
  if (codes !== undefined) return codes;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a grid that tells the codes of ${name} to write format ${format.name} but the weights lie on none, or ` +
      `the folder ballast-grid is not beside them; quantize again with format ${format.name}.`,
  );
}

/** Error ERR_UNSUPPORTED for codes or zero points that the format would round. */
export async function expectSameGrid(
  device: Device,
  name: string,
  codes: QuantizedWeight,
  grid: Grid,
  format: ExportFormat,
): Promise<void> {
  const rounded = (await format.roundGrid?.(device, codes, grid)) ?? codes;
  const added = Object.values(rounded).filter((part) => !Object.values(codes).includes(part));
  try {
    for (const part of ['codes', 'zeros'] as const) {
      if (rounded[part] === codes[part]) continue;
      const [before, after] = [await codes[part].read(), await rounded[part].read()];
      if (Buffer.from(before).equals(Buffer.from(after))) continue;
      throw new BallastError(
        'ERR_UNSUPPORTED',
        `${name}: format ${format.name} would round the ${part} of this grid, which biases were fitted on; quantize ` +
          `again with that format, or with a symmetric grid.`,
      );
    }
  } finally {
    for (const tensor of added) tensor?.dispose();
  }
}

/** Error ERR_UNSUPPORTED for a bias other than zeros. */
export async function expectNoBias(
  name: string,
  { outChannels }: LinearSpec,
  bias: Tensor | undefined,
  format: ExportFormat,
  client: Client,
): Promise<void> {
  const values = (await bias?.readFloat32()) ?? new Float32Array(outChannels);
  if (values.every((value) => value === 0)) return;
  throw new BallastError(
    'ERR_UNSUPPORTED',
    `${name} has a bias that ${client} does not read in format ${format.name}; quantize again with that format, or name a client that does.`,
  );
}
