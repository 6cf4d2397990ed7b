// Codes in as few bits as they need: a thread makes one word, or one code.
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

void PackCodes(const Context& context, const CodeWordsParams& params) {
  const std::int64_t columns = params.codes.cols(), width = params.words.cols();
  const int bits = params.bits;
  const std::uint8_t* codes = params.codes.u8();
  auto* const words = params.words.as<std::uint32_t>();
  ForEach(context, "packing codes", params.words.shape.elements(), [=] __device__(std::int64_t i) {
    const std::int64_t begin = i % width * 32;  // of the row's stream
    const std::int64_t end = min((begin + 31) / bits + 1, columns);
    const std::uint8_t* row = codes + i / width * columns;
    std::uint32_t word = 0;
    for (std::int64_t j = begin / bits; j < end; ++j) {
      const std::uint32_t code = row[j] & ((1u << bits) - 1);
      const auto at = static_cast<int>(j * bits - begin);
      word |= at < 0 ? code >> -at : code << at;
    }
    words[i] = word;
  });
}

void UnpackCodes(const Context& context, const CodeWordsParams& params) {
  const std::int64_t columns = params.codes.cols(), width = params.words.cols();
  const int bits = params.bits;
  std::uint8_t* const codes = params.codes.u8();
  const auto* words = params.words.as<std::uint32_t>();
  ForEach(context, "unpacking codes", params.codes.shape.elements(),
          [=] __device__(std::int64_t i) {
            const std::int64_t bit = i % columns * bits;
            const auto at = static_cast<int>(bit % 32);
            const std::uint32_t* word = words + i / columns * width + bit / 32;
            std::uint32_t code = *word >> at;
            if (at + bits > 32) code |= word[1] << (32 - at);
            codes[i] = static_cast<std::uint8_t>(code & ((1u << bits) - 1));
          });
}

}  // namespace ballast::cuda
