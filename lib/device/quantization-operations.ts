// The operations that quantizers are made of: grids, codes, and what finds them. Each checks its operands at once (a wrong
// call throws here), enqueues, and returns the handle of its result. Formulas, shapes and dtypes: native/backend/params.h.

import { type DType, type FakeQuantizeGranularity, native } from '../native.js';
import { Operations } from './operations.js';
import type { Tensor } from './tensor.js';

/** How weights become codes; see `Scheme` in native/backend/params.h. */
export interface GridOptions {
  readonly bits: number;
  /** Input channels that share a scale; 0 for the whole row. */
  readonly groupSize: number;
  readonly symmetric: boolean;
  /** Steps of the clipping search; 0 for the full range. */
  readonly clipSteps: number;
  /** The share of the range that the search goes down by. */
  readonly clipRange: number;
  readonly clipExponent: number;
  readonly scaleDtype: 'float32' | 'float16' | 'bfloat16';
}

/** See `GptqParams` in native/backend/params.h. */
export interface SweepOptions {
  /** [in] float32: how the clipping search weighs columns. */
  readonly channelWeights?: Tensor | undefined;
  /** A grid that was found before, and the group of each column. */
  readonly fixed?: { scales: Tensor; zeros: Tensor; groupIndex?: Tensor | undefined } | undefined;
}

/** Of a grid of super-blocks, [out, in/256] float32: the numbers that scales and offsets are multiples of. */
export interface SuperSteps {
  readonly scaleSteps: Tensor;
  readonly offsetSteps: Tensor;
}

/** See `DescendParams` in native/backend/params.h. */
export interface DescendOptions {
  readonly bits: number;
  readonly scaleDtype: 'float32' | 'float16' | 'bfloat16';
  /** Passes over all columns at most. */
  readonly rounds: number;
  /** How often a block's codes are gone through in a pass; 0 leaves codes as they are. */
  readonly sweeps: number;
  /** Whether scales move. */
  readonly refit: boolean;
  /** Columns by decreasing moment times weight, groups whole; else in order. */
  readonly greedy: boolean;
  /** Start from unrounded codes, whatever the codes given. */
  readonly unrounded: boolean;
  /** Added to the matrix's diagonal, as a share of its mean. */
  readonly damping: number;
  /** The relative improvement below which a pass is the last. */
  readonly tolerance: number;
}

export abstract class QuantizationOperations extends Operations {
  findScales(
    weight: Tensor,
    grid: GridOptions,
    channelWeights?: Tensor,
  ): { scales: Tensor; zeros: Tensor } {
    const made = this.call(() =>
      native().findScales(this.native, weight.handle, channelWeights?.handle, { ...grid }),
    );
    return { scales: this.wrap(made.scales), zeros: this.wrap(made.zeros) };
  }

  quantize(
    weight: Tensor,
    scales: Tensor,
    zeros: Tensor,
    bits: number,
    groupIndex?: Tensor | undefined,
  ): Tensor {
    return this.make(() =>
      native().quantize(
        this.native,
        weight.handle,
        scales.handle,
        zeros.handle,
        groupIndex?.handle,
        bits,
      ),
    );
  }

  dequantize(
    codes: Tensor,
    scales: Tensor,
    zeros: Tensor,
    dtype: DType,
    groupIndex?: Tensor | undefined,
  ): Tensor {
    return this.make(() =>
      native().dequantize(
        this.native,
        codes.handle,
        scales.handle,
        zeros.handle,
        groupIndex?.handle,
        dtype,
      ),
    );
  }

  /**
   * Codes [out, in] uint8 of float8_e4m3fn times the scales (float32, [rows, cols] of blocks) of their blocks, of which the
   * last may be cut short. `firstRow`: where the codes begin in what the blocks cover.
   */
  dequantizeFloat8(
    codes: Tensor,
    scales: Tensor,
    dtype: DType,
    block: { readonly rows: number; readonly cols: number; readonly firstRow?: number },
  ): Tensor {
    return this.make(() =>
      native().dequantizeFloat8(
        this.native,
        codes.handle,
        scales.handle,
        block.rows,
        block.cols,
        block.firstRow ?? 0,
        dtype,
      ),
    );
  }

  /**
   * Codes of float4_e2m1, two in a byte of [out, in / 2] uint8, times 2^(scale − 127) of the scales, uint8, of their blocks
   * of 32.
   */
  dequantizeFloat4(codes: Tensor, scales: Tensor, dtype: DType): Tensor {
    return this.make(() =>
      native().dequantizeFloat4(this.native, codes.handle, scales.handle, dtype),
    );
  }

  /**
   * Codes [out, in] uint8 of 1 to 8 `bits` as words [out, ⌈in·bits / 32⌉] int32: code i of a row takes bits
   * i·bits … (i + 1)·bits − 1 of a stream, the lowest first; the last word is filled up with zeros.
   */
  packCodes(codes: Tensor, bits: number): Tensor {
    return this.make(() => native().packCodes(this.native, codes.handle, bits));
  }

  /** The inverse, codes [out, inChannels]. */
  unpackCodes(words: Tensor, bits: number, inChannels: number): Tensor {
    return this.make(() => native().unpackCodes(this.native, words.handle, bits, inChannels));
  }

  /**
   * Codes [out, in] uint8, scales and zeros [out, in/32] float32 as blocks [out, in/32 · bytes of a block] uint8: ggml's
   * types Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0. Scales d are stored as float16, and in asymmetric blocks the offset −d·zero
   * is, which should be chosen so; symmetric blocks have the zero 2^(bits−1). Layout: native/backend/params.h.
   */
  packBlocks(
    codes: Tensor,
    scales: Tensor,
    zeros: Tensor,
    { bits, symmetric }: { bits: number; symmetric: boolean },
  ): Tensor {
    return this.make(() =>
      native().packBlocks(this.native, codes.handle, scales.handle, zeros.handle, bits, symmetric),
    );
  }

  /** The inverse. Of an offset m, the zero is −m/d in float32; 0 where either is. */
  unpackBlocks(
    blocks: Tensor,
    { bits, symmetric }: { bits: number; symmetric: boolean },
  ): { codes: Tensor; scales: Tensor; zeros: Tensor } {
    const made = this.call(() =>
      native().unpackBlocks(this.native, blocks.handle, bits, symmetric),
    );
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
    };
  }

  /**
   * A grid of super-blocks near the one given, of 2 to 6 bits: the grids of ggml's types Q2_K … Q6_K. Groups: 32 columns of 4
   * and 5 bits, else 16; in must be a multiple of 256. See `SuperScalesParams` in native/backend/super_block_params.h.
   */
  superScales(
    weight: Tensor,
    { scales, zeros }: { scales: Tensor; zeros: Tensor },
    bits: number,
  ): { scales: Tensor; zeros: Tensor } & SuperSteps {
    const made = this.call(() =>
      native().superScales(this.native, weight.handle, scales.handle, zeros.handle, bits),
    );
    return {
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
      scaleSteps: this.wrap(made.scaleSteps),
      offsetSteps: this.wrap(made.offsetSteps),
    };
  }

  /** Codes [out, in] uint8 on such a grid as super-blocks [out, in/256 · bytes of one] uint8. */
  packSuperBlocks(codes: Tensor, scales: Tensor, zeros: Tensor, bits: number): Tensor {
    return this.make(() =>
      native().packSuperBlocks(this.native, codes.handle, scales.handle, zeros.handle, bits),
    );
  }

  /** The inverse. */
  unpackSuperBlocks(
    blocks: Tensor,
    bits: number,
  ): { codes: Tensor; scales: Tensor; zeros: Tensor } {
    const made = this.call(() => native().unpackSuperBlocks(this.native, blocks.handle, bits));
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
    };
  }

  fakeQuantize(
    x: Tensor,
    options: {
      bits: number;
      granularity: FakeQuantizeGranularity;
      groupSize?: number;
      symmetric?: boolean;
      scales?: Tensor | undefined;
      zeros?: Tensor | undefined;
      channelSum?: Tensor | undefined;
    },
  ): Tensor {
    return this.make(() =>
      native().fakeQuantize(
        this.native,
        x.handle,
        options.scales?.handle,
        options.zeros?.handle,
        options.channelSum?.handle,
        {
          granularity: options.granularity,
          groupSize: options.groupSize ?? 0,
          bits: options.bits,
          symmetric: options.symmetric ?? false,
        },
      ),
    );
  }

  /** The upper triangular R of matrix + λ·mean(diag)·I = R Rᵀ, or its inverse, and [1] float64: the λ that it took. */
  factorize(
    matrix: Tensor,
    damping: number,
    maxDamping: number,
    inverse = false,
  ): { factor: Tensor; info: Tensor } {
    const made = this.call(() =>
      native().factorize(this.native, matrix.handle, damping, maxDamping, inverse),
    );
    return { factor: this.wrap(made.factor), info: this.wrap(made.info) };
  }

  /** The sweep's codes and grid, and errors [out, in] float32: e = ΔW R, so that ΔW H ΔWᵀ is |e|² of a row. */
  gptq(
    weight: Tensor,
    factor: Tensor,
    grid: GridOptions,
    options: SweepOptions = {},
  ): { codes: Tensor; scales: Tensor; zeros: Tensor; errors: Tensor } {
    const { channelWeights, fixed } = options;
    const made = this.call(() =>
      native().gptq(
        this.native,
        weight.handle,
        factor.handle,
        channelWeights?.handle,
        fixed?.scales.handle,
        fixed?.zeros.handle,
        fixed?.groupIndex?.handle,
        { ...grid },
        this.algebraPrecision,
      ),
    );
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
      errors: this.wrap(made.errors),
    };
  }

  /**
   * Codes and scales that lower Σ_o ΔW_o M ΔW_oᵀ, from those of `start`; with steps zeros too. errors [1 + 2·rounds] float64:
   * that sum at the start, then after the refits and at the end of each round.
   */
  descend(
    weight: Tensor,
    matrix: Tensor,
    start: { codes: Tensor; scales: Tensor; zeros: Tensor } & Partial<SuperSteps>,
    options: DescendOptions,
  ): { codes: Tensor; scales: Tensor; zeros: Tensor; errors: Tensor } {
    const made = this.call(() =>
      native().descend(
        this.native,
        weight.handle,
        matrix.handle,
        start.codes.handle,
        start.scales.handle,
        start.zeros.handle,
        start.scaleSteps?.handle,
        start.offsetSteps?.handle,
        { ...options, precision: this.algebraPrecision },
      ),
    );
    return {
      codes: this.wrap(made.codes),
      scales: this.wrap(made.scales),
      zeros: this.wrap(made.zeros),
      errors: this.wrap(made.errors),
    };
  }

  /** The scales [out, groups] at which the codes' ΔW M ΔWᵀ is least in every row, M = matrix + damping·mean(diag)·I. */
  refitScales(
    weight: Tensor,
    matrix: Tensor,
    found: { codes: Tensor; scales: Tensor; zeros: Tensor },
    options: { scaleDtype: DType; damping: number },
  ): Tensor {
    return this.make(() =>
      native().refitScales(
        this.native,
        weight.handle,
        matrix.handle,
        found.codes.handle,
        found.scales.handle,
        found.zeros.handle,
        options.scaleDtype,
        options.damping,
        this.algebraPrecision,
      ),
    );
  }

  /** The same with one scale to a row, of what `factorize` and `gptq` gave, at a quarter of the operations. */
  refitSwept(
    factor: Tensor,
    swept: { codes: Tensor; scales: Tensor; zeros: Tensor; errors: Tensor },
    scaleDtype: DType,
  ): Tensor {
    return this.make(() =>
      native().refitSwept(
        this.native,
        factor.handle,
        swept.errors.handle,
        swept.codes.handle,
        swept.scales.handle,
        swept.zeros.handle,
        scaleDtype,
      ),
    );
  }
}
