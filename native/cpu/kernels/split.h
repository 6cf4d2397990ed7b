// float32 products by bfloat16 ones (Henry, Tang and Heinecke, Leveraging the bfloat16 Artificial
// Intelligence Datatype for Higher-Precision Computations, 2019). A number is its nearest bfloat16,
// that of the rest, and that of what remains: a = h + m + l exactly, |m| <= 2⁻⁸|a|, |l| <= 2⁻¹⁷|a|.
//   six products    a·b ≈ lh' + hl' + mm' + mh' + hm' + hh'    lacks at most 2⁻²⁴|a·b|
//   three products  a·b ≈ mh' + hm' + hh'                      lacks at most 2⁻¹⁵|a·b|
// Strips and panels hold the parts one after the other along the depth, and a tile sums all
// products, the small ones first or apart. What a sum over n is off by, next to Σ|a·b|:
//   six products    2⁻²⁴·(1 + 1.1·(min(n, 320) + n/320))
//   three products  2⁻¹⁵ + 2⁻²⁴·1.1·(min(n, 512) + n/512)
//   multiply-adds   2⁻²⁴·(min(n, 512) + n/512), which is 2⁻¹⁵ from n = 512 on
// Below the normal numbers bfloat16 products know zero alone: besides, 2⁻¹²⁴·Σ(|a| + |b| + 6).
#pragma once

#include "native/cpu/kernels/gemm.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Which part of each factor a product takes: 0 is h, 1 is m, 2 is l. The last one is hh'; as far as
// may be, a product shares a factor with the one before.
template <int kParts>
struct PartFactors;
template <>
struct PartFactors<2> {
  static constexpr int kProducts = 3;
  static constexpr int kLeft[] = {1, 0, 0};
  static constexpr int kRight[] = {0, 1, 0};
};
template <>
struct PartFactors<3> {
  static constexpr int kProducts = 6;
  static constexpr int kLeft[] = {2, 1, 1, 0, 0, 0};
  static constexpr int kRight[] = {0, 0, 1, 1, 2, 0};
};

// Numbers beyond the largest bfloat16 would round to infinity.
inline Floats WithinBfloat(Floats x) {
  const Floats largest = Splat(0x1.fep127f);
  return Min(largest, Max(-largest, x));
}

// A window's numbers less their higher parts; the kernel rounds them. An infinity is in the last
// part alone, which meets h' only: so it keeps its sign.
template <class Window, int kPart, bool kLast>
struct PartOf {
  const Window& window;

  Floats At(std::int64_t row, std::int64_t column) const {
    Floats x = window.At(row, column);
    for (int i = 0; i < kPart; ++i) x -= FromBfloat(ToBfloat(WithinBfloat(x)));
    return kLast ? x : WithinBfloat(x);
  }
};

// A vector's numbers and the next one's as a window, which makes one vector of words of them.
struct TwoVectors {
  Floats first, second;

  Floats At(std::int64_t, std::int64_t column) const { return column == 0 ? first : second; }
};

// Of a kernel of bfloat16 words. A pass is less deep by as much as numbers have parts, so working
// memory stays what it is.
template <class Kernel, int kParts>
struct Split {
  using Base = Gemm<Kernel>;
  static constexpr std::int64_t kDepth = Base::kWords / kParts / kLanes * kLanes * 2;

  template <int kPart>
  static constexpr auto View = []<class Window>(const Window& window) {
    return PartOf<Window, kPart, kPart + 1 == kParts>{window};
  };

  // The words of all parts of a row, which is read once.
  template <class Window>
  static void PackRow(const Window& window, std::int64_t row, std::int64_t words, float* out) {
    for (std::int64_t c = 0; c < words; c += kLanes) {
      TwoVectors rest = {window.At(row, 2 * c), window.At(row, 2 * c + kLanes)};
      for (int part = 0; part < kParts - 1; ++part) {
        const TwoVectors taken = {WithinBfloat(rest.first), WithinBfloat(rest.second)};
        Store(out + part * words + c, Kernel::Along(taken, 0, 0));
        rest.first -= FromBfloat(ToBfloat(taken.first));
        rest.second -= FromBfloat(ToBfloat(taken.second));
      }
      Store(out + (kParts - 1) * words + c, Kernel::Along(rest, 0, 0));
    }
  }

  template <int kPart>
  static void PackStripFrom(const Operand& a, const Range& range, float* strip) {
    if constexpr (kPart < kParts) {
      Base::PackStripOf(a, range, View<kPart>, strip);
      PackStripFrom<kPart + 1>(a, range, strip + Base::PanelWords(range.depth) * Base::kStripPart);
    }
  }

  template <int kPart>
  static void PackBlockFrom(const Operand& b, const Range& range, std::int64_t begin,
                            std::int64_t end, float* block) {
    if constexpr (kPart < kParts) {
      const std::int64_t words = Base::PanelWords(range.depth);
      Base::template PackPanels<kPanel>(b, range, begin, end, kPanel, View<kPart>, kParts * words,
                                        block);
      PackBlockFrom<kPart + 1>(b, range, begin, end, block + words * kPanel);
    }
  }

  static std::int64_t PanelBytes(std::int64_t depth) { return kParts * Base::PanelBytes(depth); }
  static void PackStrip(const Operand& a, const Range& range, void* strip) {
    auto* const out = static_cast<float*>(strip);
    if (!Kernel::kStripsByRow || !a.depth_contiguous) return PackStripFrom<0>(a, range, out);
    WithWindow(a, range, 0, [&](const auto& window) {
      for (std::int64_t r = 0; r < range.items; ++r) {
        PackRow(window, r, Base::PanelWords(range.depth), out + r * Base::kStripStride);
      }
    });
  }
  static void PackBlock(const Operand& b, const Range& range, std::int64_t begin, std::int64_t end,
                        void* block) {
    PackBlockFrom<0>(b, range, begin, end, static_cast<float*>(block));
  }

  static void Multiply(const void* strip, const void* block, std::int64_t depth,
                       const Destination& to, const Upcoming& upcoming) {
    const std::int64_t part = Base::PanelWords(depth);
    Kernel::template MultiplyBlock<PartFactors<kParts>>(
        static_cast<const float*>(strip),
        {static_cast<const float*>(block), Base::Words(depth), kParts * part, part}, to, upcoming);
  }

  static GemmKernels Table(std::int64_t block_columns) {
    GemmKernels table = Base::Table(block_columns);
    table.depth = kDepth;
    table.panel_bytes = PanelBytes;
    table.pack_strip = PackStrip;
    table.pack_block = PackBlock;
    table.multiply = Multiply;
    return table;
  }
};

// All that is made of bfloat16 products.
template <class Kernel>
BFloat16Kernels TablesOf(std::int64_t block_columns) {
  return {.rounded = Gemm<Kernel>::Table(block_columns),
          .three_products = Split<Kernel, 2>::Table(block_columns),
          .six_products = Split<Kernel, 3>::Table(block_columns)};
}

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
