// Copies a window of a matrix into working memory, as it stands or transposed, a square of vectors
// at a time. The window is read as a matrix of 32-bit words: floats, or (for bfloat16 products)
// pairs of them. Words outside of the window read as zero.
#pragma once

#include <type_traits>

#include "native/cpu/kernels/float_formats.h"
#include "native/cpu/kernels/linear_kernels.h"
#include "native/cpu/transpose_square.h"

namespace ballast::cpu::BALLAST_ISA {
namespace {

struct Half {
  std::uint16_t bits;
};
struct Bfloat {
  std::uint16_t bits;
};

inline Floats LoadFloats(const float* p) { return Load<Floats>(p); }
inline Floats LoadFloats(const Half* p) { return FromHalf(Load<Shorts>(p)); }
inline Floats LoadFloats(const Bfloat* p) { return FromBfloat(Load<Shorts>(p)); }
inline Floats LoadFloats(const float* p, std::int64_t n) { return LoadPart<Floats>(p, n); }
inline Floats LoadFloats(const Half* p, std::int64_t n) { return FromHalf(LoadPart<Shorts>(p, n)); }
inline Floats LoadFloats(const Bfloat* p, std::int64_t n) {
  return FromBfloat(LoadPart<Shorts>(p, n));
}

template <class T>
struct Window {
  const T* data;
  std::int64_t stride;
  std::int64_t rows;
  std::int64_t columns;
  const float* shift;  // optional [columns], subtracted
  std::int64_t ahead;  // elements to what will be packed a little later

  // Whether every number is one that bfloat16 holds.
  bool HoldsBfloats() const { return std::is_same_v<T, Bfloat> && shift == nullptr; }

  // kLanes floats from (row, column) on. What is `ahead` of them is fetched into the level-2 cache:
  // rows are too short and too far apart for the processor to see the pattern.
  Floats At(std::int64_t row, std::int64_t column) const {
    const std::int64_t n = columns - column;
    if (row >= rows || n <= 0) return Floats{};
    const T* p = data + row * stride + column;
    __builtin_prefetch(p + ahead, 0, 2);
    if (n >= kLanes) {
      return shift == nullptr ? LoadFloats(p) : LoadFloats(p) - Load<Floats>(shift + column);
    }
    return shift == nullptr ? LoadFloats(p, n)
                            : LoadFloats(p, n) - LoadPart<Floats>(shift + column, n);
  }
};

// kLanes words of two neighbours along the row each, from word `column` of the row on, as they are
// in memory.
inline Floats WordsAt(const Window<Bfloat>& window, std::int64_t row, std::int64_t column) {
  const std::int64_t n = window.columns - 2 * column;
  if (row >= window.rows || n <= 0) return Floats{};
  const Bfloat* p = window.data + row * window.stride + 2 * column;
  __builtin_prefetch(p + window.ahead, 0, 2);
  return n >= 2 * kLanes ? Load<Floats>(p) : LoadPart<Floats>(p, n);
}

// Calls f with the window of `operand` that `range` names, typed.
template <class F>
inline void WithWindow(const Operand& operand, const Range& range, std::int64_t ahead, F f) {
  const bool items_first = operand.depth_contiguous;
  const std::int64_t offset = items_first ? range.first * operand.stride + range.from
                                          : range.from * operand.stride + range.first;
  const std::int64_t rows = items_first ? range.items : range.depth;
  const std::int64_t columns = items_first ? range.depth : range.items;
  const float* shift = operand.shift == nullptr ? nullptr : operand.shift + range.first;
  const auto call = [&]<class T>(const T* data) {
    f(Window<T>{data + offset, operand.stride, rows, columns, shift, ahead});
  };
  switch (operand.dtype) {
    case DType::kFloat16:
      return call(static_cast<const Half*>(operand.data));
    case DType::kBFloat16:
      return call(static_cast<const Bfloat*>(operand.data));
    default:
      return call(static_cast<const float*>(operand.data));
  }
}

// kLanes words, in each of the parts that numbers are held in.
template <int kParts>
struct Words {
  Floats part[kParts];
};

// Where words go: rows `stride` floats from one another, parts of the same words `part` floats.
struct Packed {
  float* out;
  std::int64_t stride;
  std::int64_t part;
};

// word(r, c) gives the Words of row r from column c on. Columns are rounded up to whole vectors.
template <int kParts, class Word>
inline void CopyRow(std::int64_t row, std::int64_t columns, const Word& word, const Packed& to) {
  for (std::int64_t c = 0; c < columns; c += kLanes) {
    const Words<kParts> words = word(row, c);
    for (int p = 0; p < kParts; ++p) {
      Store(to.out + p * to.part + row * to.stride + c, words.part[p]);
    }
  }
}

// Rows and columns are rounded up to whole vectors.
template <int kParts, class Word>
inline void Transpose(std::int64_t rows, std::int64_t columns, const Word& word, const Packed& to) {
  for (std::int64_t c = 0; c < columns; c += kLanes) {
    for (std::int64_t r = 0; r < rows; r += kLanes) {
      Floats squares[kParts][kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const Words<kParts> words = word(r + i, c);
        for (int p = 0; p < kParts; ++p) squares[p][i] = words.part[p];
      }
      for (int p = 0; p < kParts; ++p) {
        TransposeSquare(squares[p]);
        float* out = to.out + p * to.part + c * to.stride + r;
        for (int i = 0; i < kLanes; ++i) Store(out + i * to.stride, squares[p][i]);
      }
    }
  }
}

}  // namespace
}  // namespace ballast::cpu::BALLAST_ISA
