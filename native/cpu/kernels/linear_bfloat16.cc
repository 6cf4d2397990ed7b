// bfloat16 products with AVX512_BF16: one instruction multiplies pairs along the depth and adds
// both products to a float32 sum. Words are such pairs, the first one low.
#include "native/cpu/kernels/panel_walk.h"
#include "native/cpu/kernels/split.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

inline __m512bh Pairs(Floats x) { return reinterpret_cast<__m512bh>(x); }

struct BFloat16Kernel : BFloat16Words, PanelWalk<BFloat16Kernel> {
  static constexpr std::int64_t kRows = 14;
  static constexpr std::int64_t kDepth = 1024;
  static constexpr std::int64_t kBandRows = 128;
  static constexpr bool kStripsByRow = false;
  static constexpr int kFetched = 2;
  static constexpr int kUnrolled = 2;

  template <int kRowsUsed, class Factors>
  static void Multiply(const float* strip, const float* panel, const Depth& depth,
                       const Tile& tile) {
    constexpr std::int64_t kStride = Gemm<BFloat16Kernel>::kStripStride;
    Floats sum[kRowsUsed][2] = {};
    for (int i = 0; i < Factors::kProducts; ++i) {
      const float* left = strip + Factors::kLeft[i] * depth.part * kStride;
      const float* right = panel + Factors::kRight[i] * depth.part * kPanel;
      ForEachWord<BFloat16Kernel>(depth.words, tile.stream, [&](std::int64_t k) {
        const __m512bh b0 = Pairs(Load<Floats>(right + k * kPanel));
        const __m512bh b1 = Pairs(Load<Floats>(right + k * kPanel + kLanes));
#pragma GCC unroll 16
        for (int r = 0; r < kRowsUsed; ++r) {
          const __m512bh a = Pairs(Splat(left[k * kStride + r]));
          sum[r][0] = _mm512_dpbf16_ps(sum[r][0], a, b0);
          sum[r][1] = _mm512_dpbf16_ps(sum[r][1], a, b1);
        }
      });
    }
    WriteTile<kRowsUsed>(sum, tile);
  }
};

}  // namespace

BFloat16Kernels MakeBFloat16Kernels() { return TablesOf<BFloat16Kernel>(256); }

}  // namespace ballast::cpu::BALLAST_ISA
