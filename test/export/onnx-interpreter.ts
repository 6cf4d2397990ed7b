// Runs a small ONNX model in plain loops, operation by operation as their specifications read: a runtime of the tests'
// own, for where no other is installed. Numbers are float64 between operations.

import type { OnnxFile, OnnxNode, Value } from './onnx-file.js';

type Attributes = OnnxNode['attributes'];
type Operation = (inputs: readonly Value[], attributes: Attributes) => Value;

const count = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);
const item = (values: ArrayLike<number> | undefined, i: number) => values?.[i] ?? Number.NaN;
const last = (shape: readonly number[], back = 1) => item(shape, shape.length - back);

function first(inputs: readonly (Value | undefined)[], i = 0): Value {
  const value = inputs[i];
  if (value === undefined) throw new RangeError(`No input ${i}.`);
  return value;
}

function value(shape: readonly number[], of: (i: number) => number): Value {
  return { shape, data: Float64Array.from({ length: count(shape) }, (_, i) => of(i)) };
}

/** Coordinates of element i. */
function place(shape: readonly number[], i: number): number[] {
  const at: number[] = [];
  for (let axis = shape.length - 1, rest = i; axis >= 0; axis--) {
    const extent = item(shape, axis);
    at[axis] = rest % extent;
    rest = Math.floor(rest / extent);
  }
  return at;
}

/** The element at coordinates of a shape that this one is broadcast to. */
function read({ shape, data }: Value, at: readonly number[]): number {
  const skipped = at.length - shape.length;
  let index = 0;
  for (const [axis, extent] of shape.entries()) {
    index = index * extent + (extent === 1 ? 0 : item(at, skipped + axis));
  }
  return item(data, index);
}

function elementwise(f: (...values: number[]) => number): Operation {
  return (inputs) => {
    const rank = Math.max(...inputs.map(({ shape }) => shape.length));
    const shape = Array.from({ length: rank }, (_, axis) =>
      Math.max(...inputs.map((input) => input.shape[axis - rank + input.shape.length] ?? 1)),
    );
    return value(shape, (i) => f(...inputs.map((input) => read(input, place(shape, i)))));
  };
}

/** Rounds half to even. */
function round(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** By a series of positive terms: exact to the last digits wherever activations are. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** [..., m, k] · [..., k, n]; a matrix serves every batch. */
const matmul: Operation = (inputs) => {
  const [a, b] = [first(inputs), first(inputs, 1)];
  const inner = last(a.shape);
  const shape = [...a.shape.slice(0, -1), last(b.shape)];
  return value(shape, (i) => {
    const at = place(shape, i);
    const [row = 0, column = 0] = at.slice(-2);
    const batch = at.slice(0, -2);
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      sum += read(a, [...batch, row, k]) * read(b, [...batch, k, column]);
    }
    return sum;
  });
};

/** Codes of four bits lie two in a byte, of blocks of a row's inputs. */
const matmulNBits: Operation = ([x, codes, scales, zeros], attributes) => {
  const { K = 0, N = 0, bits = 0, block_size: size = 0 } = attributes as Record<string, number>;
  const blocks = Math.ceil(K / size);
  const field = (packed: Value | undefined, line: number, i: number) => {
    const byte = item(packed?.data, line + Math.floor((i * bits) / 8));
    return bits === 8 ? byte : (byte >> (4 * (i % 2))) & 15;
  };
  const weight = value([K, N], (i) => {
    const [k = 0, n = 0] = place([K, N], i);
    const block = Math.floor(k / size);
    const code = field(codes, (n * blocks * size * bits) / 8, k);
    const zero =
      zeros === undefined
        ? 2 ** (bits - 1)
        : field(zeros, n * Math.ceil((blocks * bits) / 8), block);
    return item(scales?.data, n * blocks + block) * (code - zero);
  });
  return matmul([first([x]), weight], {});
};

function overRows(f: (row: Float64Array) => ArrayLike<number>): Operation {
  return (inputs) => {
    const { shape, data } = first(inputs);
    const width = last(shape);
    const rows = Array.from({ length: data.length / width }, (_, row) =>
      f(data.subarray(row * width, (row + 1) * width)),
    );
    return value(shape, (i) => item(rows[Math.floor(i / width)], i % width));
  };
}

const softmax = overRows((row) => {
  const most = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
});

const layerNorm: Operation = (inputs, { epsilon = 1e-5 }) => {
  const normal = overRows((row) => {
    const mean = row.reduce((a, b) => a + b, 0) / row.length;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / row.length;
    return row.map((x) => (x - mean) / Math.sqrt(variance + Number(epsilon)));
  })(inputs, {});
  return elementwise((x, weight, bias) => item([x], 0) * item([weight], 0) + item([bias], 0))(
    [normal, first(inputs, 1), first(inputs, 2)],
    {},
  );
};

const transpose: Operation = (inputs, { perm }) => {
  const x = first(inputs);
  const order = perm as readonly number[];
  const shape = order.map((axis) => item(x.shape, axis));
  return value(shape, (i) => {
    const at: number[] = [];
    for (const [to, extent] of place(shape, i).entries()) at[item(order, to)] = extent;
    return read(x, at);
  });
};

const reshape: Operation = (inputs) => {
  const { shape, data } = first(inputs);
  const asked = [...first(inputs, 1).data].map((n, axis) => (n === 0 ? item(shape, axis) : n));
  const known = count(asked.filter((extent) => extent !== -1));
  return { shape: asked.map((extent) => (extent === -1 ? data.length / known : extent)), data };
};

/** Zeros before and after each axis. */
const pad: Operation = (inputs) => {
  const x = first(inputs);
  const pads = first(inputs, 1).data;
  const rank = x.shape.length;
  const shape = x.shape.map((n, axis) => n + item(pads, axis) + item(pads, axis + rank));
  return value(shape, (i) => {
    const at = place(shape, i).map((n, axis) => n - item(pads, axis));
    return at.every((n, axis) => n >= 0 && n < item(x.shape, axis)) ? read(x, at) : 0;
  });
};

/** Of kernels that tile the image. */
const conv: Operation = (inputs, { strides }) => {
  const [x, kernel, bias] = [first(inputs), first(inputs, 1), first(inputs, 2)];
  const [channels = 0, high = 0, wide = 0] = kernel.shape.slice(1);
  const [down = 0, right = 0] = strides as readonly number[];
  const rows = (last(x.shape, 2) - high) / down + 1;
  const columns = (last(x.shape) - wide) / right + 1;
  const shape = [item(x.shape, 0), item(kernel.shape, 0), rows, columns];
  return value(shape, (i) => {
    const [image = 0, out = 0, row = 0, column = 0] = place(shape, i);
    let sum = item(bias.data, out);
    for (let j = 0; j < channels * high * wide; j++) {
      const [channel = 0, y = 0, z = 0] = place([channels, high, wide], j);
      const pixel = read(x, [image, channel, row * down + y, column * right + z]);
      sum += pixel * read(kernel, [out, channel, y, z]);
    }
    return sum;
  });
};

const dequantize: Operation = (inputs, { axis = 1 }) => {
  const [x, scale, zero] = [first(inputs), first(inputs, 1), inputs[2]];
  const along = (parameters: Value | undefined, i: number) =>
    parameters?.shape.length === 0
      ? item(parameters.data, 0)
      : item(parameters?.data, item(place(x.shape, i), Number(axis)));
  return value(x.shape, (i) => {
    const code = item(x.data, i) - (zero === undefined ? 0 : along(zero, i));
    return along(scale, i) * code;
  });
};

const operations: Readonly<Record<string, Operation>> = {
  Add: elementwise((a = 0, b = 0) => a + b),
  Mul: elementwise((a = 0, b = 0) => a * b),
  Mean: elementwise((...values) => values.reduce((a, b) => a + b, 0) / values.length),
  Less: elementwise((a = 0, b = 0) => (a < b ? 1 : 0)),
  Where: elementwise((chosen, a = 0, b = 0) => (chosen === 1 ? a : b)),
  Clip: elementwise((x = 0, low = 0, high = 0) => Math.min(Math.max(x, low), high)),
  Sigmoid: elementwise((x = 0) => 1 / (1 + Math.exp(-x))),
  Relu: elementwise((x = 0) => Math.max(x, 0)),
  Identity: elementwise((x = 0) => x),
  Cast: elementwise((x = 0) => x),
  QuantizeLinear: elementwise((x = 0, scale = 0, zero = 0) =>
    Math.min(Math.max(round(x / scale) + zero, 0), 255),
  ),
  DequantizeLinear: dequantize,
  MatMul: matmul,
  MatMulNBits: matmulNBits,
  Softmax: softmax,
  LayerNormalization: layerNorm,
  Transpose: transpose,
  Reshape: reshape,
  Pad: pad,
  Conv: conv,
  Gelu: (inputs, { approximate = 'none' }) =>
    elementwise((x = 0) => {
      const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
      return 0.5 * x * (1 + (approximate === 'none' ? erf(x / Math.SQRT2) : Math.tanh(inner)));
    })(inputs, {}),
  Gather: (inputs, { axis = 0 }) => {
    const [x, index] = [first(inputs), first(inputs, 1)];
    const before = x.shape.slice(0, Number(axis));
    const shape = [...before, ...index.shape, ...x.shape.slice(Number(axis) + 1)];
    return value(shape, (i) => {
      const at = place(shape, i);
      const chosen = read(index, at.slice(before.length, before.length + index.shape.length));
      at.splice(before.length, index.shape.length, chosen);
      return read(x, at);
    });
  },
  ReduceMean: (inputs) => {
    const x = first(inputs);
    const [batch = 0, rows = 0, width = 0] = x.shape;
    return value([batch, width], (i) => {
      const [image = 0, column = 0] = place([batch, width], i);
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += read(x, [image, row, column]);
      return sum / rows;
    });
  },
  Gemm: (inputs) => {
    const turned = transpose([first(inputs, 1)], { perm: [1, 0] });
    const product = matmul([first(inputs), turned], {});
    return elementwise((a = 0, b = 0) => a + b)([product, first(inputs, 2)], {});
  },
};

/** The output for one input. Throws for a value that no node before has made: a graph must be in order. */
export function run(file: OnnxFile, input: Value): Value {
  const values = new Map<string, Value>([...file.constants, [file.input[0], input]]);
  const find = (name: string) => {
    const found = values.get(name);
    if (found === undefined) throw new RangeError(`Nothing has made ${name}.`);
    return found;
  };
  for (const { op, inputs, output, attributes } of file.nodes) {
    const operation = operations[op];
    if (operation === undefined) throw new RangeError(`No operation ${op}.`);
    values.set(output, operation(inputs.map(find), attributes));
  }
  return find(file.output[0]);
}
