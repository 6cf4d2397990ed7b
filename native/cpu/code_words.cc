// 32 codes fill as many whole words as they have bits, whatever these are: with the bits known when
// this is compiled, all shifts inside such a stretch are constants.
#include "native/cpu/code_words.h"

#include <utility>

#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

constexpr int kStretch = 32;

// kStretch codes that begin a word, or fewer at the end of a row.
template <int kBits>
void PackStretch(const std::uint8_t* codes, int count, std::uint32_t* words) {
  std::uint64_t stream = 0;
  int filled = 0;
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) {
    stream |= static_cast<std::uint64_t>(codes[i] & ((1 << kBits) - 1)) << filled;
    filled += kBits;
    if (filled < 32) continue;
    *words++ = static_cast<std::uint32_t>(stream);
    stream >>= 32;
    filled -= 32;
  }
  if (filled > 0) *words = static_cast<std::uint32_t>(stream);
}

template <int kBits>
void UnpackStretch(const std::uint32_t* words, int count, std::uint8_t* codes) {
  std::uint64_t stream = 0;
  int filled = 0;
#pragma GCC unroll 32
  for (int i = 0; i < count; ++i) {
    if (filled < kBits) {
      stream |= static_cast<std::uint64_t>(*words++) << filled;
      filled += 32;
    }
    codes[i] = static_cast<std::uint8_t>(stream & ((1 << kBits) - 1));
    stream >>= kBits;
    filled -= kBits;
  }
}

// body(row, its code, its word, count) for all stretches of all rows.
template <int kBits, class Body>
void ForEachStretch(const Context& context, const CodeWordsParams& p, Body body) {
  const std::int64_t columns = p.codes.cols(), width = p.words.cols();
  ForEachRow(context, p.codes.rows(), RowsOfTask(columns), [&](std::int64_t row) {
    std::uint8_t* codes = p.codes.u8() + row * columns;
    std::uint32_t* words = p.words.as<std::uint32_t>() + row * width;
    std::int64_t i = 0;
    for (; i + kStretch <= columns; i += kStretch, words += kBits) {
      body(codes + i, words, kStretch);
    }
    if (i < columns) body(codes + i, words, static_cast<int>(columns - i));
  });
}

// f with the bits as a constant.
template <class F>
void WithBits(int bits, F f) {
  [&]<int... kLess>(std::integer_sequence<int, kLess...>) {
    ((bits == kLess + 1 ? f.template operator()<kLess + 1>() : void()), ...);
  }
  (std::make_integer_sequence<int, 8>());
}

}  // namespace

void PackCodes(const Context& context, const CodeWordsParams& p) {
  WithBits(p.bits, [&]<int kBits>() {
    ForEachStretch<kBits>(context, p, [](const std::uint8_t* codes, std::uint32_t* words, int n) {
      PackStretch<kBits>(codes, n, words);
    });
  });
}

void UnpackCodes(const Context& context, const CodeWordsParams& p) {
  WithBits(p.bits, [&]<int kBits>() {
    ForEachStretch<kBits>(context, p, [](std::uint8_t* codes, const std::uint32_t* words, int n) {
      UnpackStretch<kBits>(words, n, codes);
    });
  });
}

}  // namespace ballast::cpu
