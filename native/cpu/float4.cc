// Row by row, a byte's two values at a time from a table of all bytes; products with powers of two
// are exact.
#include "native/cpu/float4.h"

#include <array>
#include <limits>

#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

struct Pair {
  float first;
  float second;
};

constexpr std::array<Pair, 256> PairsOfBytes() {
  constexpr float kMagnitudes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  const auto value = [&](int code) {
    return (code & 8) == 0 ? kMagnitudes[code] : -kMagnitudes[code & 7];
  };
  std::array<Pair, 256> pairs{};
  for (int byte = 0; byte < 256; ++byte) pairs[byte] = {value(byte & 15), value(byte >> 4)};
  return pairs;
}

// 2^(e − 127); of 0 a subnormal number.
constexpr std::array<float, 256> PowersOfScales() {
  std::array<float, 256> powers{};
  powers[0] = 0x1p-127f;
  for (int e = 1; e < 255; ++e) powers[e] = 2 * powers[e - 1];
  powers[255] = std::numeric_limits<float>::quiet_NaN();
  return powers;
}

constexpr std::array<Pair, 256> kPairs = PairsOfBytes();
constexpr std::array<float, 256> kPowers = PowersOfScales();

}  // namespace

void DequantizeFloat4(const Context& context, const DequantizeFloat4Params& p) {
  constexpr std::int64_t kBytes = DequantizeFloat4Params::kValues / 2;
  const std::int64_t blocks = p.scales.cols();
  MakeRows(context, p.out, RowsOfTask(p.out.cols()), [&](std::int64_t row, float* out) {
    const std::uint8_t* codes = p.codes.u8() + row * p.codes.cols();
    const std::uint8_t* scales = p.scales.u8() + row * blocks;
    for (std::int64_t block = 0; block < blocks; ++block, codes += kBytes) {
      const float power = kPowers[scales[block]];
      for (std::int64_t i = 0; i < kBytes; ++i, out += 2) {
        const Pair pair = kPairs[codes[i]];
        out[0] = pair.first * power;
        out[1] = pair.second * power;
      }
    }
  });
}

}  // namespace ballast::cpu
