// The words that the addon's functions take, and options that are many.

export type DType = 'float32' | 'float16' | 'bfloat16' | 'float64' | 'int32' | 'int64' | 'uint8';
export type Activation =
  | 'none'
  | 'relu'
  | 'gelu'
  | 'gelu_tanh'
  | 'quick_gelu'
  | 'silu'
  | 'sigmoid'
  | 'tanh';
export type Precision = 'float32' | 'bfloat16';
/** Of the algebra on moments; `bfloat16x3` keeps two parts of each factor (native/backend/params.h). */
export type AlgebraPrecision = Precision | 'bfloat16x3';
/** Of what products read: operations that make such a thing may round it to bfloat16. */
export type OperandType = 'float32' | 'bfloat16';
export type WeightLayout = 'out_in' | 'in_out';
export type BinaryKind = 'add' | 'subtract' | 'multiply';
/** How a router's logits become scores (native/backend/expert_params.h). */
export type Scoring = 'softmax' | 'sigmoid';
export type FakeQuantizeGranularity = 'tensor' | 'row' | 'group';

export interface NativeScheme {
  bits: number;
  groupSize: number;
  symmetric: boolean;
  clipSteps: number;
  clipRange: number;
  clipExponent: number;
  scaleDtype: DType;
}

export interface NativeHeadProduct {
  kind: 'scores' | 'mix' | 'spread';
  sequence: number;
  heads: number;
  keyValueHeads: number;
  scale: number;
  precision: Precision;
}

export interface NativeTwin {
  threshold: number;
  lowScale: number;
  lowMin: number;
  lowMax: number;
  highScale: number;
  highMax: number;
}
