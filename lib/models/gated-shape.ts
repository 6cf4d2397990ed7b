// What the blocks of a gated decoder hold: linears, norms and slots, of blocks with a plain MLP and of those with experts.

import { type Experts, expertLinears, expertTensors } from './experts.js';
import type { GatedDecoder } from './gated-decoder.js';
import { latentLinears, latentTensors } from './latent-attention.js';
import {
  type LinearAttention,
  linearAttentionLinears,
  linearAttentionOutput,
  linearAttentionTensors,
} from './linear-attention.js';
import { linear, linearSlot } from './linear-bias.js';
import type { BlockShape, FoldSlot, LinearSpec } from './model.js';
import { decoderNormTensors } from './norms.js';
import { projections, sinkTensor } from './rotary-attention.js';

type Shapes = Omit<BlockShape, 'slots'> & {
  readonly shapes?: readonly BlockShape[];
  readonly slots: Required<BlockShape['slots']>;
};

/** Where the MLP of this block is experts. */
export function mixtureOf({ mixture }: GatedDecoder, index: number): Experts | undefined {
  return mixture?.sparse[index] ? mixture : undefined;
}

/** Where this block has linear attention. */
export function linearAttentionOf(
  { linearAttention }: GatedDecoder,
  index: number,
): LinearAttention | undefined {
  return linearAttention?.blocks[index] ? linearAttention : undefined;
}

/** What this block's attention is made of. */
export function attentionOf({ shape, attentionShapes, keysAsValues }: GatedDecoder, index: number) {
  return {
    shape: attentionShapes?.[index] ?? shape,
    keysAsValues: keysAsValues?.[index] ?? false,
  };
}

type Attention = ReturnType<typeof attentionOf>;

/** Of the blocks, and of all together where they differ. */
export function gatedShapes(decoder: GatedDecoder): Shapes {
  const kinds = new Map<string, Shapes>();
  const shapes = Array.from({ length: decoder.blocks }, (_, index) => {
    const experts = mixtureOf(decoder, index);
    const recurrent = linearAttentionOf(decoder, index);
    const attention = attentionOf(decoder, index);
    const kind = JSON.stringify([recurrent === undefined, experts === undefined, attention]);
    const shape = kinds.get(kind) ?? shapeOfKind(decoder, experts, recurrent, attention);
    kinds.set(kind, shape);
    return shape;
  });
  const [first, ...others] = kinds.values();
  if (first === undefined || others.length === 0) return shapes[0] as Shapes;
  const linears = new Map([first, ...others].flatMap((s) => s.linears.map((l) => [l.name, l])));
  const tensors = [first, ...others].flatMap(({ blockTensors }) => blockTensors);
  return {
    ...(shapes.at(-1) as Shapes),
    linears: [...linears.values()],
    blockTensors: [...new Set(tensors)],
    shapes,
  };
}

function shapeOfKind(
  decoder: GatedDecoder,
  experts: Experts | undefined,
  recurrent: LinearAttention | undefined,
  attention: Attention,
): Shapes {
  const { shape, norm, norms, queryKeyNorms, residualScale, latent, sinks, blockScale } = decoder;
  const linears = [
    ...(recurrent ? linearAttentionLinears(recurrent) : attentionSpecs(decoder, attention)),
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
  const hasHeadNorms = recurrent === undefined && queryKeyNorms !== 'none';
  const tensorShapes = {
    ...(recurrent ? linearAttentionTensors(recurrent) : latent && latentTensors(latent)),
    ...(sinks && { [sinkTensor]: [shape.heads] }),
    ...(experts && expertTensors(experts, shape.hiddenSize)),
    ...(blockScale !== undefined && { [blockScale]: [1] }),
  };
  return {
    hiddenSize: shape.hiddenSize,
    linears,
    blockTensors: [
      ...decoderNormTensors(
        norm,
        ...Object.values(norms),
        ...(hasHeadNorms ? ['self_attn.q_norm', 'self_attn.k_norm'] : []),
      ),
      ...Object.keys(tensorShapes),
    ],
    ...(experts && { experts }),
    tensorShapes,
    slots: {
      attention: outputSlot(
        recurrent ? linearAttentionOutput : 'self_attn.o_proj',
        norms.attentionOutput,
      ),
      mlp,
      block: mlp,
    },
  };
}

function attentionSpecs(
  { latent, biases, fusedProjections: fused, gatedAttention: gated }: GatedDecoder,
  { shape, keysAsValues }: Attention,
): LinearSpec[] {
  if (latent !== undefined) return latentLinears(latent, biases.projections, biases.output);
  const { hiddenSize, heads, headSize } = shape;
  return [
    ...projections(shape, { fused, gated, keysAsValues }).map((projection) => ({
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
