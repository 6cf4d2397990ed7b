// What quantizers are made of: the factor of a moment or of its inverse, the GPTQ sweep, coordinate descent, the
// certificate's quadratic form. Operations are those of the formulas, so the share tells how near each comes to a plain product.
import { compare, randomFloats, randomMatrix } from '../measure.mjs';

const sizes = [1024, 3072, 4096];
const grid = {
  bits: 3,
  groupSize: 0,
  symmetric: false,
  clipSteps: 0,
  clipRange: 0.8,
  clipExponent: 2.4,
  scaleDtype: 'float32',
};
const descent = {
  bits: 3,
  scaleDtype: 'float32',
  rounds: 1,
  sweeps: 2,
  refit: true,
  greedy: false,
  unrounded: false,
  damping: 0.01,
  tolerance: 0,
};

/** E[xxᵀ] of random inputs. */
function momentOf(device, channels) {
  return device.scope(() => {
    const x = randomMatrix(device, 2 * channels, channels);
    const sum = device.zeros('float32', [channels, channels]);
    const mean = device.upload('float64', [channels], new Float64Array(channels));
    device.secondMoment(x, sum);
    const options = { count: 2 * channels, centred: false, symmetric: true };
    return device.moment(sum, mean, mean, options);
  });
}

async function rowsFor(context, channels) {
  const { device } = context;
  const out = channels;
  const moment = momentOf(device, channels);
  const weight = randomMatrix(device, out, channels);
  const { factor, info } = device.factorize(moment, 0.01, 1);
  const swept = device.gptq(weight, factor, grid);
  const vector = device.upload('float64', [channels], Float64Array.from(randomFloats(channels)));
  const cases = [
    {
      // All that the sweep needs here; torch's needs the factor of the inverse, by Cholesky, inverse, Cholesky.
      name: 'factorize',
      operations: channels ** 3 / 3,
      request: { op: 'factorize', shape: [channels] },
      enqueue: () => device.factorize(moment, 0.01, 1),
    },
    {
      name: 'factorize, inverse',
      // A Cholesky factor and its triangular inverse, n³/3 each.
      operations: (2 / 3) * channels ** 3,
      request: { op: 'factorize', shape: [channels] },
      enqueue: () => device.factorize(moment, 0.01, 1, true),
    },
    {
      name: 'gptq sweep',
      operations: out * channels ** 2,
      enqueue: () => device.gptq(weight, factor, grid),
    },
    {
      name: 'descend, one round',
      // Residuals kept up to date through refit and sweeps, and the residual at the start.
      operations: 4 * out * channels ** 2,
      enqueue: () => device.descend(weight, moment, swept, descent),
    },
    {
      name: 'quadratic form',
      operations: out * channels ** 2,
      enqueue: () => device.quadraticForm(weight, moment),
    },
    {
      name: 'matvec',
      operations: 2 * out * channels,
      enqueue: () => device.matvec(weight, vector),
    },
  ];
  const rows = [];
  for (const { name, operations, ...measured } of cases) {
    const row = await compare({ ...context, ...measured });
    const gflops = operations / row.seconds / 1e9;
    rows.push({ name: `${name} [${out}, ${channels}]`, dtype: 'float32', ...row, gflops });
  }
  for (const tensor of [moment, weight, factor, info, vector, ...Object.values(swept)]) {
    tensor.dispose();
  }
  return rows;
}

export async function measureAlgebra(open, { quick }) {
  const context = open('float32');
  const rows = [];
  for (const size of quick ? sizes.slice(0, 1) : sizes) {
    rows.push(...(await rowsFor(context, size)));
  }
  context.device.close();
  return rows;
}
