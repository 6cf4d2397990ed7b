// Whole products with the AMX kernels on the twin of their instructions (amx-tiles.h), against
// float64 sums; amx.test.ts compiles and runs it. Whole numbers must come out exactly, and nothing
// but C may be written; random ones within the bounds of kernels/split.h, beside AVX512_BF16.
// Prints a line of JSON for each way to multiply.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "native/cpu/gemm.h"

namespace ballast::cpu {
namespace {

struct Case {
  std::int64_t rows, columns, depth;
  bool a_along, b_along;  // depth_contiguous
  Update update;
  bool upper;
  bool symmetric = false;  // b is a
};

// Bits that a drawn float32 number keeps: those of a bfloat16, of a normal float16, all of them.
constexpr std::uint32_t kBFloat = 0xffff0000, kHalf = 0xffffe000, kFloat = 0xffffffff;

struct Way {
  const char* name;
  GemmKernels BFloat16Kernels::*kernels;
  int largest_a, largest_b;  // whole numbers whose products it forms exactly
  std::uint32_t bits_a, bits_b;
  double dropped;  // of a product, or of it by joining what was summed apart; relative to it
  int terms;       // summed in a pass
};

constexpr Way kWays[] = {
    {"rounded", &BFloat16Kernels::rounded, 100, 100, kBFloat, kBFloat, 0, 1024},
    {"two", &BFloat16Kernels::two_products, 250, 600, kBFloat, kFloat, 0x1p-17, 512},
    {"three", &BFloat16Kernels::three_products, 600, 100, kFloat, kFloat, 0x1p-15, 512},
    {"three", &BFloat16Kernels::three_products, 100, 600, kFloat, kFloat, 0x1p-15, 512},
    {"six", &BFloat16Kernels::six_products, 600, 300, kFloat, kFloat, 0x1p-24, 320},
    {"by float16", &BFloat16Kernels::by_float16, 600, 300, kFloat, kHalf, 0x1p-24, 320},
    {"by bfloat16", &BFloat16Kernels::by_bfloat16, 600, 250, kFloat, kBFloat, 0x1p-24, 320},
    {"of bfloat16", &BFloat16Kernels::of_bfloat16, 250, 600, kBFloat, kFloat, 0x1p-24, 320},
};

constexpr float kBefore = 7;  // what C holds at first

class Numbers {
 public:
  float Whole(int largest) { return std::uniform_int_distribution<int>(-largest, largest)(bits_); }
  float Normal(std::uint32_t bits) {
    const float x = std::normal_distribution<float>()(bits_);
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & bits);
  }

 private:
  std::mt19937 bits_{1};
};

// items × depth numbers, stored along the depth or across.
struct Matrix {
  std::int64_t items, depth;
  bool along;
  std::vector<float> values;

  template <class Draw>
  Matrix(std::int64_t items, std::int64_t depth, bool along, const Draw& draw)
      : items(items), depth(depth), along(along), values(items * depth) {
    std::generate(values.begin(), values.end(), draw);
  }
  double At(std::int64_t i, std::int64_t k) const {
    return values[along ? i * depth + k : k * items + i];
  }
  Operand operand() const {
    return {.data = values.data(), .stride = along ? depth : items, .depth_contiguous = along};
  }
};

std::vector<float> Run(const GemmKernels& kernels, const Case& c, const Matrix& a,
                       const Matrix& b) {
  ThreadPool pool(3);
  const Kernels none{};
  const Context context{
      .pool = pool, .kernels = none, .float32_products = Float32Products::kFma, .cancel = nullptr};
  const std::int64_t stride = c.columns + 3;
  std::vector<float> out((c.rows + 1) * stride, kBefore);
  // On a thread that keeps no working memory of the products before.
  std::thread([&] {
    Multiply(context, kernels,
             {.a = a.operand(),
              .b = c.symmetric ? a.operand() : b.operand(),
              .rows = c.rows,
              .columns = c.columns,
              .depth = c.depth,
              .out = out.data(),
              .stride = stride,
              .update = c.update,
              .upper = c.upper});
  }).join();
  return out;
}

struct Findings {
  long elements = 0;
  long wrong = 0;    // of whole numbers: elements that are not exact, or were not to be written
  double worst = 0;  // of random ones: the largest error, of what it may be
  double apart = 0;  // and the largest difference from AVX512_BF16, relative to Σ|a·b|
};

class Comparison {
 public:
  explicit Comparison(const Way& way)
      : way_(way),
        amx_(amx_bf16::MakeBFloat16Kernels().*way.kernels),
        vector_(avx512_bf16::MakeBFloat16Kernels().*way.kernels) {}

  void Add(const Case& c) {
    AddWhole(c);
    AddRandom(c);
  }
  const Findings& findings() const { return findings_; }

 private:
  static double Expected(const Case& c, double sum) {
    if (c.update == Update::kAdd) return kBefore + sum;
    return c.update == Update::kSubtract ? kBefore - sum : sum;
  }

  template <class DrawA, class DrawB>
  static std::pair<Matrix, Matrix> Operands(const Case& c, const DrawA& draw_a,
                                            const DrawB& draw_b) {
    const Matrix a(c.rows, c.depth, c.a_along, draw_a);
    if (c.symmetric) return {a, a};
    return {a, Matrix(c.columns, c.depth, c.b_along, draw_b)};
  }

  void AddWhole(const Case& c) {
    const int both = std::min(way_.largest_a, way_.largest_b);
    const auto [a, b] = Operands(
        c, [&] { return numbers_.Whole(c.symmetric ? both : way_.largest_a); },
        [&] { return numbers_.Whole(way_.largest_b); });
    const std::vector<float> out = Run(amx_, c, a, b);
    for (std::int64_t i = 0; i <= c.rows; ++i) {
      for (std::int64_t j = 0; j < c.columns + 3; ++j, ++findings_.elements) {
        const bool is_c = i < c.rows && j < c.columns && !(c.upper && j < i);
        double sum = 0;
        for (std::int64_t k = 0; is_c && k < c.depth; ++k) sum += a.At(i, k) * b.At(j, k);
        const double expected = is_c ? Expected(c, sum) : kBefore;
        findings_.wrong += out[i * (c.columns + 3) + j] != expected;
      }
    }
  }

  void AddRandom(const Case& c) {
    const std::uint32_t bits_a = c.symmetric ? way_.bits_a & way_.bits_b : way_.bits_a;
    const auto [a, b] = Operands(
        c, [&] { return numbers_.Normal(bits_a); }, [&] { return numbers_.Normal(way_.bits_b); });
    const std::vector<float> tiles = Run(amx_, c, a, b);
    const std::vector<float> vectors = Run(vector_, c, a, b);
    const auto n = static_cast<double>(c.depth);
    const double bound =
        way_.dropped + 0x1p-24 * 1.1 * (std::min<double>(n, way_.terms) + n / way_.terms);
    for (std::int64_t i = 0; i < c.rows; ++i) {
      for (std::int64_t j = c.upper ? i : 0; j < c.columns; ++j) {
        double sum = 0, magnitude = kBefore;
        for (std::int64_t k = 0; k < c.depth; ++k) {
          sum += a.At(i, k) * b.At(j, k);
          magnitude += std::fabs(a.At(i, k) * b.At(j, k));
        }
        const std::int64_t at = i * (c.columns + 3) + j;
        const double error = std::fabs(tiles[at] - Expected(c, sum));
        findings_.worst = std::max(findings_.worst, error / (bound * magnitude));
        const double apart = std::fabs(static_cast<double>(tiles[at]) - vectors[at]);
        // On such a diagonal all terms are positive: no errors cancel out there.
        if (c.symmetric && i == j) continue;
        findings_.apart = std::max(findings_.apart, apart / magnitude);
      }
    }
  }

  const Way& way_;
  const GemmKernels amx_;
  const GemmKernels vector_;
  Numbers numbers_;
  Findings findings_;
};

// Sizes around the edges of tiles, words, steps, passes and blocks; each layout and update.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  int turn = 0;
  for (const std::int64_t rows : {1, 16, 17, 32, 33}) {
    for (const std::int64_t columns : {1, 32, 33, 260}) {
      for (const std::int64_t depth : {1, 31, 33, 161, 1025}) {
        ++turn;
        cases.push_back({rows, columns, depth, turn % 2 == 0, turn % 3 == 0,
                         static_cast<Update>(turn % 3), turn % 5 == 0});
      }
    }
  }
  // More bands of a triangle than strips, were they not limited.
  cases.push_back({300, 300, 17, true, true, Update::kStore, true});
  // A matrix times its own transpose: strips are made of panels.
  for (const std::int64_t items : {1, 33, 300}) {
    for (const std::int64_t depth : {31, 161, 450}) {
      cases.push_back({items, items, depth, false, false, Update::kAdd, true, true});
    }
  }
  return cases;
}

}  // namespace
}  // namespace ballast::cpu

int main() {
  using namespace ballast::cpu;
  for (const Way& way : kWays) {
    Comparison comparison(way);
    for (const Case& c : Cases()) comparison.Add(c);
    const Findings& f = comparison.findings();
    std::printf(
        "{\"products\": \"%s\", \"elements\": %ld, \"wrong\": %ld, \"worst\": %g, \"apart\": %g}\n",
        way.name, f.elements, f.wrong, f.worst, f.apart);
  }
}
