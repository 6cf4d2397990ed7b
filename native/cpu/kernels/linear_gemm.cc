// float32 products. A tile keeps kRows × 2 vectors of sums in registers: as many as the register
// file holds beside the two vectors of the panel and one broadcast. With AVX-512 multiplications
// broadcast every other row's number themselves: fewer instructions for the front end, which both
// threads of a core share; of all rows it would be more loads than feed the multipliers.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/panel_walk.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

// Rounds to bfloat16; a NaN stays one.
inline Floats Rounded(Floats x) { return FromBfloat(ToBfloat(x)); }

template <bool kRounded>
struct Float32Kernel : PanelWalk<Float32Kernel<kRounded>> {
#if defined(__AVX512F__)
  static constexpr std::int64_t kRows = 14;
  static constexpr std::int64_t kDepth = 512;
  static constexpr int kFetched = 2;
  static constexpr int kUnrolled = 2;
#elif defined(__AVX2__)
  static constexpr std::int64_t kRows = 6;
  static constexpr std::int64_t kDepth = 256;
  static constexpr int kFetched = 1;
  static constexpr int kUnrolled = 4;
#else
  static constexpr std::int64_t kRows = 4;
  static constexpr std::int64_t kDepth = 256;
  static constexpr int kFetched = 1;
  static constexpr int kUnrolled = 4;
#endif
  static constexpr std::int64_t kBandRows = 128;
  static constexpr bool kStripsByRow = false;
  static constexpr std::int64_t kPerWord = 1;

  template <class Window>
  static Floats Along(const Window& window, std::int64_t row, std::int64_t column) {
    const Floats x = window.At(row, column);
    return kRounded && !window.HoldsBfloats() ? Rounded(x) : x;
  }
  template <class Window>
  static Floats Across(const Window& window, std::int64_t row, std::int64_t column) {
    return Along(window, row, column);
  }

  template <int kRowsUsed, class Factors>
  static void Multiply(const float* strip, const float* panel, const Depth& depth,
                       const Tile& tile) {
    constexpr std::int64_t kStride = Gemm<Float32Kernel>::kStripStride;
    Floats sum[kRowsUsed][2] = {};
    ForEachWord<Float32Kernel>(depth.words, tile.stream, [&](std::int64_t k) {
      const Floats b0 = Load<Floats>(panel + k * kPanel);
      const Floats b1 = Load<Floats>(panel + k * kPanel + kLanes);
      const float* word = strip + k * kStride;
#pragma GCC unroll 16
      for (int r = 0; r < kRowsUsed; ++r) {
        if (r % 2 == 0) {
          sum[r][0] = AddProductOfOne(word + r, b0, sum[r][0]);
          sum[r][1] = AddProductOfOne(word + r, b1, sum[r][1]);
        } else {
          const Floats a = Splat(word[r]);
          sum[r][0] = AddProduct(a, b0, sum[r][0]);
          sum[r][1] = AddProduct(a, b1, sum[r][1]);
        }
      }
    });
    WriteTile<kRowsUsed>(sum, tile);
  }
};

#if defined(__AVX512F__)
constexpr std::int64_t kBlockColumns = 256;  // a block of 512 KiB: half of a level-2 cache
#else
constexpr std::int64_t kBlockColumns = 128;  // 128 KiB
#endif

}  // namespace

GemmKernels MakeFloat32Kernels() { return Gemm<Float32Kernel<false>>::Table(kBlockColumns); }
GemmKernels MakeRoundedKernels() { return Gemm<Float32Kernel<true>>::Table(kBlockColumns); }

}  // namespace ballast::cpu::BALLAST_ISA
