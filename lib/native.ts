// Loads the addon (a prebuild or a local build, found by node-gyp-build) and declares what it exports:
// the list in native/binding/addon.cc, in the same order. Only lib/device imports this file.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BallastError } from './errors.js';
import type {
  Activation,
  AlgebraPrecision,
  BinaryKind,
  DType,
  FakeQuantizeGranularity,
  NativeHeadProduct,
  NativeScheme,
  NativeTwin,
  OperandType,
  Precision,
  Scoring,
  WeightLayout,
} from './native-words.js';

export type * from './native-words.js';

declare const deviceTag: unique symbol;
declare const tensorTag: unique symbol;
/** An opaque native handle. */
export type NativeDevice = { readonly [deviceTag]: never };
/** An opaque native handle. */
export type NativeTensorHandle = { readonly [tensorTag]: never };

export interface NativeTensor {
  readonly handle: NativeTensorHandle;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export interface DeviceInfo {
  readonly name: string;
  readonly available: boolean;
  /** What it is, or why it is not available. */
  readonly description: string;
}

type Device = NativeDevice;
type Handle = NativeTensorHandle;
type Optional = NativeTensorHandle | undefined;
type Shape = readonly number[];
type NativeGrid = { scales: NativeTensor; zeros: NativeTensor };

interface NativeAddon {
  openDevice(name: string, threads: number): Device;
  closeDevice(device: Device): void;
  describeDevice(device: Device): string;
  availableBytes(device: Device): number | undefined;
  listDevices(): DeviceInfo[];
  synchronize(device: Device): Promise<void>;
  read(device: Device, tensor: Handle, into: ArrayBuffer | undefined): Promise<ArrayBuffer>;
  copyTo(device: Device, tensor: Handle, target: Device): Promise<NativeTensor>;
  cancel(device: Device): void;
  release(tensor: Handle): void;
  upload(device: Device, dtype: DType, shape: Shape, data: ArrayBufferView): NativeTensor;
  uploadFile(
    device: Device,
    dtype: DType,
    shape: Shape,
    path: string,
    offset: number,
  ): NativeTensor;
  zeros(device: Device, dtype: DType, shape: Shape): NativeTensor;
  reshape(device: Device, tensor: Handle, shape: Shape): NativeTensor;
  sliceRows(device: Device, tensor: Handle, begin: number, end: number): NativeTensor;
  cast(device: Device, tensor: Handle, dtype: DType): NativeTensor;
  countNonFinite(device: Device, tensor: Handle): NativeTensor;
  binary(device: Device, kind: BinaryKind, a: Handle, b: Handle, dtype: OperandType): NativeTensor;
  scale(device: Device, tensor: Handle, factor: number): NativeTensor;
  activate(device: Device, kind: Activation, tensor: Handle): NativeTensor;
  softcap(device: Device, tensor: Handle, cap: number): NativeTensor;
  selectColumns(device: Device, tensor: Handle, index: Handle, beside: Optional): NativeTensor;
  selectRows(device: Device, tensor: Handle, index: Handle): NativeTensor;
  transpose(device: Device, tensor: Handle): NativeTensor;
  matmul(
    device: Device,
    x: Handle,
    weight: Handle,
    bias: Optional,
    residual: Optional,
    options: {
      activation: Activation;
      layout: WeightLayout;
      precision: Precision;
      dtype: OperandType;
    },
  ): NativeTensor;
  attention(
    device: Device,
    query: Handle,
    key: Handle,
    value: Handle,
    alibiSlopes: Optional,
    bias: Optional,
    sinks: Optional,
    options: {
      sequence: number;
      heads: number;
      keyValueHeads: number;
      scale: number;
      softcap: number;
      window: number;
      causal: boolean;
      precision: Precision;
      dtype: OperandType;
    },
  ): NativeTensor;
  layerNorm(
    device: Device,
    x: Handle,
    weight: Optional,
    bias: Optional,
    eps: number,
    dtype: OperandType,
  ): NativeTensor;
  rmsNorm(
    device: Device,
    x: Handle,
    weight: Handle,
    eps: number,
    offset: number,
    dtype: OperandType,
  ): NativeTensor;
  rope(
    device: Device,
    x: Handle,
    cos: Handle,
    sin: Handle,
    options: { sequence: number; headSize: number; interleaved: boolean },
  ): NativeTensor;
  embedding(device: Device, ids: Handle, table: Handle): NativeTensor;
  crossEntropy(device: Device, logits: Handle, targets: Handle): NativeTensor;
  chooseExperts(
    device: Device,
    logits: Handle,
    bias: Optional,
    options: {
      count: number;
      scoring: Scoring;
      groups: number;
      keptGroups: number;
      bestOfGroup: number;
    },
  ): NativeTensor;
  expertWeights(
    device: Device,
    logits: Handle,
    chosen: Handle,
    options: { scoring: Scoring; normalized: boolean; scale: number },
  ): NativeTensor;
  clampedSwiglu(
    device: Device,
    x: Handle,
    options: { slope: number; limit: number; dtype: OperandType },
  ): NativeTensor;
  addExpert(device: Device, sum: Handle, y: Handle, slots: Handle, weights: Handle): void;
  causalConvolution(
    device: Device,
    x: Handle,
    weight: Handle,
    options: { sequence: number; activation: Activation },
  ): NativeTensor;
  gatedDeltaRule(
    device: Device,
    mixed: Handle,
    decay: Handle,
    write: Handle,
    logRate: Handle,
    decayBias: Handle,
    options: { sequence: number; keyHeads: number; keySize: number },
  ): NativeTensor;
  channelSum(device: Device, x: Handle, sum: Handle): void;
  secondMoment(
    device: Device,
    x: Handle,
    y: Optional,
    shiftX: Optional,
    shiftY: Optional,
    sum: Handle,
    precision: Precision,
  ): void;
  moment(
    device: Device,
    sum: Handle,
    meanX: Handle,
    meanY: Handle,
    shiftX: Optional,
    shiftY: Optional,
    options: { count: number; centred: boolean; symmetric: boolean },
  ): NativeTensor;
  matvec(device: Device, weight: Handle, vector: Handle): NativeTensor;
  quadraticForm(
    device: Device,
    delta: Handle,
    matrix: Handle,
    other: Optional,
    precision: AlgebraPrecision,
  ): NativeTensor;
  findScales(
    device: Device,
    weight: Handle,
    channelWeights: Optional,
    scheme: NativeScheme,
  ): NativeGrid;
  quantize(
    device: Device,
    weight: Handle,
    scales: Handle,
    zeros: Handle,
    groupIndex: Optional,
    bits: number,
  ): NativeTensor;
  dequantize(
    device: Device,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    groupIndex: Optional,
    dtype: DType,
  ): NativeTensor;
  dequantizeFloat8(
    device: Device,
    codes: Handle,
    scales: Handle,
    blockRows: number,
    blockColumns: number,
    firstRow: number,
    dtype: DType,
  ): NativeTensor;
  dequantizeFloat4(device: Device, codes: Handle, scales: Handle, dtype: DType): NativeTensor;
  packCodes(device: Device, codes: Handle, bits: number): NativeTensor;
  unpackCodes(device: Device, words: Handle, bits: number, inChannels: number): NativeTensor;
  packBlocks(
    device: Device,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    bits: number,
    symmetric: boolean,
  ): NativeTensor;
  unpackBlocks(
    device: Device,
    blocks: Handle,
    bits: number,
    symmetric: boolean,
  ): NativeGrid & { codes: NativeTensor };
  superScales(
    device: Device,
    weight: Handle,
    scales: Handle,
    zeros: Handle,
    bits: number,
  ): NativeGrid & { scaleSteps: NativeTensor; offsetSteps: NativeTensor };
  packSuperBlocks(
    device: Device,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    bits: number,
  ): NativeTensor;
  unpackSuperBlocks(
    device: Device,
    blocks: Handle,
    bits: number,
  ): NativeGrid & { codes: NativeTensor };
  fakeQuantize(
    device: Device,
    x: Handle,
    scales: Optional,
    zeros: Optional,
    channelSum: Optional,
    options: {
      granularity: FakeQuantizeGranularity;
      groupSize: number;
      bits: number;
      symmetric: boolean;
    },
  ): NativeTensor;
  factorize(
    device: Device,
    matrix: Handle,
    damping: number,
    maxDamping: number,
    inverse: boolean,
  ): { factor: NativeTensor; info: NativeTensor };
  gptq(
    device: Device,
    weight: Handle,
    factor: Handle,
    channelWeights: Optional,
    scales: Optional,
    zeros: Optional,
    groupIndex: Optional,
    scheme: NativeScheme,
    precision: AlgebraPrecision,
  ): NativeGrid & { codes: NativeTensor; errors: NativeTensor };
  descend(
    device: Device,
    weight: Handle,
    matrix: Handle,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    scaleSteps: Optional,
    offsetSteps: Optional,
    options: {
      bits: number;
      scaleDtype: DType;
      rounds: number;
      sweeps: number;
      refit: boolean;
      greedy: boolean;
      unrounded: boolean;
      damping: number;
      tolerance: number;
      precision: AlgebraPrecision;
    },
  ): NativeGrid & { codes: NativeTensor; errors: NativeTensor };
  refitSwept(
    device: Device,
    factor: Handle,
    errors: Handle,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    scaleDtype: DType,
  ): NativeTensor;
  refitScales(
    device: Device,
    weight: Handle,
    matrix: Handle,
    codes: Handle,
    scales: Handle,
    zeros: Handle,
    scaleDtype: DType,
    damping: number,
    precision: AlgebraPrecision,
  ): NativeTensor;
  headProduct(device: Device, x: Handle, y: Handle, options: NativeHeadProduct): NativeTensor;
  softmax(
    device: Device,
    scores: Handle,
    alibiSlopes: Optional,
    bias: Optional,
    sinks: Optional,
    options: { heads: number; softcap: number; window: number; causal: boolean },
  ): NativeTensor;
  twinQuantize(device: Device, x: Handle, options: NativeTwin): NativeTensor;
  softmaxGradient(device: Device, probabilities: Handle, gradient: Handle): NativeTensor;
  layerNormGradient(
    device: Device,
    x: Handle,
    weight: Optional,
    gradient: Handle,
    eps: number,
  ): NativeTensor;
  activationGradient(device: Device, kind: Activation, x: Handle, gradient: Handle): NativeTensor;
}

const firstLine = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0];

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  // lib/native.ts and dist/native.js both lie one folder below the package's root.
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    return require('node-gyp-build')(root) as NativeAddon;
  } catch (cause) {
    throw new BallastError(
      'ERR_UNSUPPORTED',
      `Cannot load the native addon for ${process.platform}-${process.arch} with Node ${process.version}. ` +
        'Install a release that has a prebuild for this platform, or build it with a C++20 compiler and CMake: ' +
        `npm rebuild ballast. (${firstLine(cause)})`,
      { cause },
    );
  }
}

let addon: NativeAddon | undefined;

/** Loaded when it is first needed: help and plans need none. Error ERR_UNSUPPORTED where none can be loaded. */
export function native(): NativeAddon {
  addon ??= load();
  return addon;
}
