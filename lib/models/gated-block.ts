// What one block of a gated decoder computes; what it holds is in gated-shape.ts.

import type { Tensor } from '../device/index.js';
import { type Experts, expertMlp } from './experts.js';
import { pickColumns } from './fused-projection.js';
import type { GatedDecoder } from './gated-decoder.js';
import { gateTimesUp, gateTimesUpOf } from './gated-mlp.js';
import { attentionOf, linearAttentionOf, mixtureOf } from './gated-shape.js';
import { hold } from './hold.js';
import { latentAttention } from './latent-attention.js';
import { linearAttention, linearAttentionOutput } from './linear-attention.js';
import type { BlockContext, LanguageModel, Linear } from './model.js';
import { decoderNorm, plainNorm } from './norms.js';
import { once } from './once.js';
import { rotaryAttention, sinkTensor } from './rotary-attention.js';

const usualNames = { gate: 'mlp.gate_proj', up: 'mlp.up_proj' };

/** What the MLP's last linear reads: activation(gate) · up. */
function gated(decoder: GatedDecoder, g: Tensor, call: Linear, context: BlockContext): Tensor {
  const { activation, fusedMlp } = decoder;
  return fusedMlp
    ? gateTimesUpOf(call('mlp.gate_up_proj', g), activation, context)
    : gateTimesUp(call, usualNames, g, activation, context);
}

export function scaled(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : x.device.scale(x, factor);
}

/** Each element times the one number that `factor` is, [1]. */
function scaledBy(x: Tensor, factor: Tensor): Tensor {
  const { device, cols } = x;
  const row = pickColumns(device, device.reshape(factor, [1, 1]), new Int32Array(cols));
  return device.multiply(x, device.reshape(row, [cols]));
}

export function gatedBlock(decoder: GatedDecoder): LanguageModel['block'] {
  const { shape, norms, queryKeyNorms, valueNorms, windows, rotaries, residualScale, latent } =
    decoder;
  const attention = {
    ...decoder,
    softcap: decoder.attentionCap,
    fused: decoder.fusedProjections,
    gated: decoder.gatedAttention ?? false,
  };
  return (x, weights, call, context, index) => {
    const { device, operands } = context;
    const norm = (input: Tensor, name: string | undefined, size = shape.hiddenSize) =>
      name === undefined ? input : decoderNorm(device, input, weights, name, size, decoder.norm);
    const operand = (input: Tensor, name: string | undefined) =>
      name === undefined
        ? input
        : decoderNorm(device, input, weights, name, shape.hiddenSize, decoder.norm, operands);
    const own = attentionOf(decoder, index);
    const normed = (input: Tensor, name: 'q' | 'k' | 'v') => {
      const { headSize } = own.shape;
      if (name === 'v')
        return valueNorms ? plainNorm(device, input, headSize, decoder.norm) : input;
      if (queryKeyNorms === 'none') return input;
      const size = queryKeyNorms === 'heads' ? headSize : input.cols;
      return norm(input, `self_attn.${name}_norm`, size);
    };
    const add = (output: Tensor, residual: Tensor, outputNorm: string | undefined) =>
      device.add(residual, scaled(norm(output, outputNorm), residualScale));
    const addOutput = (name: string, input: Tensor, residual: Tensor, outputNorm?: string) => {
      if (outputNorm === undefined && residualScale === 1) return call(name, input, { residual });
      return add(call(name, input), residual, outputNorm);
    };

    const h = once(() => operand(x, norms.attention));
    const recurrent = linearAttentionOf(decoder, index);
    const attended = () => {
      if (recurrent !== undefined) {
        return linearAttention(h(), weights, call, context, recurrent);
      }
      if (latent !== undefined) {
        return latentAttention(h(), weights, call, context, latent, decoder);
      }
      return rotaryAttention(
        h(),
        call,
        context,
        { ...attention, ...own },
        {
          rotary: rotaries === undefined ? decoder.rotary : rotaries[index],
          window: windows[index] ?? 0,
          sinks: decoder.sinks && weights.get(sinkTensor),
          prepare: normed,
        },
      );
    };
    const y = hold(context, 'middle', () => {
      const mixed = hold(context, 'attended', attended);
      const output = recurrent === undefined ? 'self_attn.o_proj' : linearAttentionOutput;
      return addOutput(output, mixed, x, norms.attentionOutput);
    });
    const g = () => (decoder.parallel ? h() : operand(y, norms.mlp));
    const experts = mixtureOf(decoder, index);
    const ofExperts = (mixture: Experts) => {
      const shared = g();
      const inputs =
        mixture.norms === undefined
          ? { router: shared, routed: shared, shared }
          : { router: y, routed: operand(y, mixture.norms.input), shared };
      return expertMlp(mixture, inputs, weights, call, context, norm);
    };
    const output =
      experts !== undefined
        ? add(ofExperts(experts), y, norms.mlpOutput)
        : addOutput(
            'mlp.down_proj',
            hold(context, 'inner', () => gated(decoder, g(), call, context)),
            y,
            norms.mlpOutput,
          );
    return decoder.blockScale === undefined
      ? output
      : scaledBy(output, weights.get(decoder.blockScale));
  };
}
