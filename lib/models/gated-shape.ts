// What the blocks of a gated decoder hold: linears, norms and slots, of blocks with a plain MLP and of those with experts.

import { type Experts, expertLinears, expertTensors } from './experts.js';
import type { GatedDecoder } from './gated-decoder.js';
import { latentLinears, latentTensors } from './latent-attention.js';
import { linear, linearSlot } from './linear-bias.js';
import type { BlockShape, FoldSlot, LinearSpec } from './model.js';
import { decoderNormTensors } from './norms.js';
import { projections } from './rotary-attention.js';

type Shapes = Omit<BlockShape, 'slots'> & {
  readonly shapes?: readonly BlockShape[];
  readonly slots: Required<BlockShape['slots']>;
};

/** Where the MLP of this block is experts. */
export function mixtureOf({ mixture }: GatedDecoder, index: number): Experts | undefined {
  return mixture?.sparse[index] ? mixture : undefined;
}

/** Of the blocks, and of all together where they differ. */
export function gatedShapes(decoder: GatedDecoder): Shapes {
  const { mixture } = decoder;
  const dense = shapeOfKind(decoder, undefined);
  if (mixture === undefined) return dense;
  const sparse = shapeOfKind(decoder, mixture);
  if (!mixture.sparse.includes(false)) return sparse;
  const union = <T>(a: readonly T[], b: readonly T[]) => [...new Set([...a, ...b])];
  const ofDense = new Set(dense.linears.map(({ name }) => name));
  const more = sparse.linears.filter(({ name }) => !ofDense.has(name));
  return {
    ...sparse,
    linears: [...dense.linears, ...more],
    blockTensors: union(dense.blockTensors, sparse.blockTensors),
    shapes: mixture.sparse.map((isSparse) => (isSparse ? sparse : dense)),
  };
}

function shapeOfKind(decoder: GatedDecoder, experts: Experts | undefined): Shapes {
  const { shape, norm, norms, queryKeyNorms, residualScale, latent } = decoder;
  const linears = [
    ...attentionSpecs(decoder),
    ...(experts ? expertLinears(experts, shape.hiddenSize) : mlpSpecs(decoder)),
  ];
  const outputSlot = (name: string, outputNorm: string | undefined): FoldSlot => {
    const between = outputNorm === undefined ? 'a multiplier' : `${outputNorm}, which has no bias,`;
    if (outputNorm === undefined && residualScale === 1) return linearSlot(linears, name);
    return { kind: 'none', reason: `${between} stands between.` };
  };
  const mlp: FoldSlot = experts
    ? { kind: 'none', reason: 'no single linear gives what experts add up to.' }
    : outputSlot('mlp.down_proj', norms.mlpOutput);
  const tensorShapes = {
    ...(latent && latentTensors(latent)),
    ...(experts && expertTensors(experts, shape.hiddenSize)),
  };
  return {
    hiddenSize: shape.hiddenSize,
    linears,
    blockTensors: [
      ...decoderNormTensors(
        norm,
        ...Object.values(norms),
        ...(queryKeyNorms === 'none' ? [] : ['self_attn.q_norm', 'self_attn.k_norm']),
      ),
      ...Object.keys(tensorShapes),
    ],
    ...(experts && { experts }),
    tensorShapes,
    slots: {
      attention: outputSlot('self_attn.o_proj', norms.attentionOutput),
      mlp,
      block: mlp,
    },
  };
}

function attentionSpecs({ shape, latent, biases, fusedProjections }: GatedDecoder): LinearSpec[] {
  if (latent !== undefined) return latentLinears(latent, biases.projections, biases.output);
  const { hiddenSize, heads, headSize } = shape;
  return [
    ...projections(shape, fusedProjections).map((projection) => ({
      ...projection,
      ...biases.projections,
    })),
    linear('self_attn.o_proj', heads * headSize, hiddenSize, biases.output),
  ];
}

function mlpSpecs({ shape, mlpSize, biases, fusedMlp }: GatedDecoder): LinearSpec[] {
  const { hiddenSize } = shape;
  return [
    ...(fusedMlp
      ? [linear('mlp.gate_up_proj', hiddenSize, 2 * mlpSize, biases.mlp)]
      : [
          linear('mlp.gate_proj', hiddenSize, mlpSize, biases.mlp),
          linear('mlp.up_proj', hiddenSize, mlpSize, biases.mlp),
        ]),
    linear('mlp.down_proj', mlpSize, hiddenSize, biases.mlp),
  ];
}
