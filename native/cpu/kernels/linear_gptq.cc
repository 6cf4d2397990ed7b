// The columns of a GPTQ block, two vectors of rows at once: the serial chain from column to column
// then costs one vector operation where it would cost a scalar one, and the vectors hide each
// other's latency. A few columns' changes reach each other at once and the rest of the block in one
// pass over it. Codes are formed exactly as rounding to nearest forms them, so an identity factor
// gives its codes bit for bit.
#include "native/cpu/kernels/linear_parts.h"
#include "native/cpu/kernels/packing.h"
#include "native/cpu/kernels/vector.h"
#include "native/cpu/transpose_square.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

constexpr int kVectors = kSweepRows / kLanes;
// Columns whose changes a pass takes: as many as registers hold beside two vectors of sums.
#if defined(__AVX512F__)
constexpr int kTogether = 8;
#else
constexpr int kTogether = 4;
#endif

void QuantizeColumn(const GptqColumns& p, std::int64_t j) {
  const Floats max_code = Splat(p.max_code);
  const Floats diagonal = Splat(p.factor[j * p.stride + j]);
  const Floats inverse = 1.0f / diagonal;
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t at = j * kSweepRows + v * kLanes;
    const Floats scale = Load<Floats>(p.scale + v * kLanes);
    const Floats zero = Load<Floats>(p.zero + v * kLanes);
    const Floats weight = Load<Floats>(p.weights + at);
    const Floats carried = Load<Floats>(p.carried + at);
    const Floats wanted = MultiplyAdd(carried, inverse, weight);
    const Floats whole = Round(zero);
    const Floats rounded = Round(wanted / scale + (zero - whole)) + whole;
    const Floats code = Min(max_code, Max(Floats{}, rounded));
    const Floats change = weight - scale * (code - zero);
    Store(p.codes + at, code);
    Store(p.changes + at, change);
    Store(p.carried + at, MultiplyAdd(change, diagonal, carried));
  }
}

void AnswerColumn(const GptqColumns& p, std::int64_t j) {
  const float inverse = -1 / p.factor[j * p.stride + j];
  for (int v = 0; v < kVectors; ++v) {
    const std::int64_t at = j * kSweepRows + v * kLanes;
    Store(p.changes + at, Load<Floats>(p.carried + at) * inverse);
  }
}

// The changes of columns j … j + kCount − 1 are carried to columns begin … end−1.
template <int kCount>
void Carry(const GptqColumns& p, std::int64_t j, std::int64_t begin, std::int64_t end) {
  Floats changes[kCount][kVectors];
  for (int i = 0; i < kCount; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      changes[i][v] = Load<Floats>(p.changes + (j + i) * kSweepRows + v * kLanes);
    }
  }
  const float* factor = p.factor + j * p.stride;
  for (std::int64_t k = begin; k < end; ++k) {
    float* carried = p.carried + k * kSweepRows;
    Floats sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = Load<Floats>(carried + v * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      const Floats r = Splat(factor[i * p.stride + k]);
      for (int v = 0; v < kVectors; ++v) sum[v] = MultiplyAdd(changes[i][v], r, sum[v]);
    }
    for (int v = 0; v < kVectors; ++v) Store(carried + v * kLanes, sum[v]);
  }
}

// `settle` gives a column its change.
template <class Settle>
void SettleColumns(const GptqColumns& p, const Settle& settle) {
  const auto together = [&]<int kCount>(std::int64_t j) {
    for (std::int64_t i = j; i < j + kCount; ++i) {
      settle(p, i);
      Carry<1>(p, i, i + 1, j + kCount);
    }
    Carry<kCount>(p, j, j + kCount, p.block_end);
  };
  std::int64_t j = p.begin;
  for (; j + kTogether <= p.end; j += kTogether) together.template operator()<kTogether>(j);
  for (; j < p.end; ++j) together.template operator()<1>(j);
}

// store(row, column, words, n) for each part of a row, of n words, that lies in `columns`.
template <class StoreWords>
void TurnBack(const float* columns, std::int64_t rows, std::int64_t count,
              const StoreWords& store) {
  for (std::int64_t r = 0; r < rows; r += kLanes) {
    for (std::int64_t c = 0; c < count; c += kLanes) {
      const std::int64_t width = count - c < kLanes ? count - c : kLanes;
      Floats square[kLanes] = {};
      for (std::int64_t i = 0; i < width; ++i) {
        square[i] = Load<Floats>(columns + (c + i) * kSweepRows + r);
      }
      TransposeSquare(square);
      for (std::int64_t i = 0; i < kLanes && r + i < rows; ++i) store(r + i, c, square[i], width);
    }
  }
}

}  // namespace

void QuantizeColumns(const GptqColumns& p) { SettleColumns(p, QuantizeColumn); }

void AnswerColumns(const GptqColumns& p) { SettleColumns(p, AnswerColumn); }

void TurnRows(const float* rows, std::int64_t stride, std::int64_t count, std::int64_t columns,
              float* turned) {
  for (std::int64_t r = 0; r < kSweepRows; r += kLanes) {
    for (std::int64_t c = 0; c < columns; c += kLanes) {
      const std::int64_t width = columns - c;
      Floats square[kLanes];
      for (std::int64_t i = 0; i < kLanes; ++i) {
        const float* row = rows + (r + i < count ? r + i : count - 1) * stride + c;
        square[i] = width < kLanes ? LoadPart<Floats>(row, width) : Load<Floats>(row);
      }
      TransposeSquare(square);
      for (int i = 0; i < kLanes; ++i) Store(turned + (c + i) * kSweepRows + r, square[i]);
    }
  }
}

void TurnColumns(const float* turned, std::int64_t count, std::int64_t columns, float* rows,
                 std::int64_t stride) {
  TurnBack(turned, count, columns,
           [&](std::int64_t r, std::int64_t c, Floats words, std::int64_t n) {
             float* row = rows + r * stride + c;
             if (n == kLanes) return Store(row, words);
             StorePart(row, words, n);
           });
}

void TurnCodes(const float* turned, std::int64_t count, std::int64_t columns, std::uint8_t* rows,
               std::int64_t stride) {
  TurnBack(
      turned, count, columns, [&](std::int64_t r, std::int64_t c, Floats words, std::int64_t n) {
        const Bytes codes = __builtin_convertvector(__builtin_convertvector(words, Ints), Bytes);
        std::uint8_t* row = rows + r * stride + c;
        if (n == kLanes) return Store(row, codes);
        StorePart(row, codes, n);
      });
}

}  // namespace ballast::cpu::BALLAST_ISA
