// Conversions go through float32 in pieces that stay in the first cache, or through float64 where
// the result is float64, so that each value is rounded once (float64 to float16 twice, as
// everywhere).
#include "native/cpu/conversion.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "native/backend/value_errors.h"
#include "native/cpu/elementwise.h"

namespace ballast::cpu {
namespace {

constexpr std::int64_t kPiece = 1024;
constexpr std::int64_t kGrain = 64 * kPiece;

// A share of the last cache of common servers; no operation after this one finds the first of it
// there.
constexpr std::size_t kBeyondCaches = 32 << 20;

template <class From, class To>
void ConvertPlain(const View& in, std::int64_t first, std::int64_t n, To* out) {
  const From* from = in.as<From>() + first;
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<To>(from[i]);
}

void ReadDoubles(const Kernels& kernels, const View& in, std::int64_t first, std::int64_t n,
                 double* out) {
  switch (in.dtype) {
    case DType::kFloat64:
      return ConvertPlain<double>(in, first, n, out);
    case DType::kInt32:
      return ConvertPlain<std::int32_t>(in, first, n, out);
    case DType::kInt64:
      return ConvertPlain<std::int64_t>(in, first, n, out);
    default: {
      float floats[kPiece];
      ReadFloats(kernels, in, first, n, floats);
      std::copy(floats, floats + n, out);
    }
  }
}

void Copy(const View& in, std::int64_t first, std::int64_t n, const View& out) {
  const std::size_t size = SizeOf(in.dtype), offset = static_cast<std::size_t>(first) * size;
  std::memcpy(out.bytes + offset, in.bytes + offset, static_cast<std::size_t>(n) * size);
}

template <class Word>
std::int64_t CountMaximalExponents(const View& in, std::int64_t begin, std::int64_t end,
                                   Word mask) {
  const Word* words = in.as<Word>();
  std::int64_t count = 0;
  for (std::int64_t i = begin; i < end; ++i) count += (words[i] & mask) == mask;
  return count;
}

}  // namespace

void ReadFloats(const Kernels& kernels, const View& in, std::int64_t first, std::int64_t n,
                float* out) {
  switch (in.dtype) {
    case DType::kFloat32:
      std::memcpy(out, in.f32() + first, static_cast<std::size_t>(n) * sizeof(float));
      return;
    case DType::kFloat16:
      return kernels.row.half_to_float(in.as<std::uint16_t>() + first, n, out);
    case DType::kBFloat16:
      return kernels.row.bfloat_to_float(in.as<std::uint16_t>() + first, n, out);
    case DType::kFloat64:
      return ConvertPlain<double>(in, first, n, out);
    case DType::kInt32:
      return ConvertPlain<std::int32_t>(in, first, n, out);
    case DType::kInt64:
      return ConvertPlain<std::int64_t>(in, first, n, out);
    case DType::kUint8:
      return ConvertPlain<std::uint8_t>(in, first, n, out);
  }
}

void WriteFloats(const Kernels& kernels, const float* in, std::int64_t n, const View& out,
                 std::int64_t first) {
  switch (out.dtype) {
    case DType::kFloat16:
      return kernels.row.float_to_half(in, n, out.as<std::uint16_t>() + first);
    case DType::kBFloat16:
      return kernels.row.float_to_bfloat(in, n, out.as<std::uint16_t>() + first);
    case DType::kFloat32:
      std::memcpy(out.f32() + first, in, static_cast<std::size_t>(n) * sizeof(float));
      return;
    default:
      throw NoFloatError(out.dtype);
  }
}

bool IsMadeAside(const Kernels& kernels, const View& out) {
  if (out.dtype != DType::kFloat32) return true;
  return kernels.row.stream != nullptr && out.byte_count() >= kBeyondCaches;
}

void WriteAside(const Kernels& kernels, const float* in, std::int64_t n, const View& out,
                std::int64_t first) {
  if (out.dtype != DType::kFloat32) return WriteFloats(kernels, in, n, out, first);
  kernels.row.stream(in, n, out.f32() + first);
}

float RoundTo(const Kernels& kernels, DType dtype, float x) {
  if (dtype == DType::kFloat32) return x;
  std::uint16_t stored = 0;
  const View view{reinterpret_cast<std::byte*>(&stored), dtype, {1}};
  WriteFloats(kernels, &x, 1, view, 0);
  float rounded = 0;
  ReadFloats(kernels, view, 0, 1, &rounded);
  return rounded;
}

void Cast(const Context& context, const View& in, const View& out) {
  const bool aside = IsMadeAside(context.kernels, out);
  const auto convert = [&](std::int64_t first, std::int64_t n) {
    if (out.dtype == DType::kFloat64) {
      ReadDoubles(context.kernels, in, first, n, out.f64() + first);
    } else if (in.dtype == DType::kFloat32) {
      WriteFloats(context.kernels, in.f32() + first, n, out, first);
    } else if (!aside) {
      ReadFloats(context.kernels, in, first, n, out.f32() + first);
    } else {
      float floats[kPiece];
      ReadFloats(context.kernels, in, first, n, floats);
      WriteAside(context.kernels, floats, n, out, first);
    }
  };
  context.pool.ParallelFor(
      in.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        if (in.dtype == out.dtype) return Copy(in, begin, end - begin, out);
        for (; begin < end; begin += kPiece) convert(begin, std::min(kPiece, end - begin));
      },
      context.cancel);
}

// Neither NaN nor infinity has any exponent but the largest.
void CountNonFinite(const Context& context, const View& in, const View& count) {
  std::atomic<std::int64_t> total{0};
  context.pool.ParallelFor(
      in.shape.elements(), kGrain,
      [&](std::int64_t begin, std::int64_t end) {
        switch (in.dtype) {
          case DType::kFloat16:
            total += CountMaximalExponents<std::uint16_t>(in, begin, end, 0x7c00);
            break;
          case DType::kBFloat16:
            total += CountMaximalExponents<std::uint16_t>(in, begin, end, 0x7f80);
            break;
          case DType::kFloat32:
            total += CountMaximalExponents<std::uint32_t>(in, begin, end, 0x7f800000u);
            break;
          case DType::kFloat64:
            total += CountMaximalExponents<std::uint64_t>(in, begin, end, 0x7ff0000000000000ull);
            break;
          default:
            break;
        }
      },
      context.cancel);
  *count.f64() = static_cast<double>(total.load());
}

}  // namespace ballast::cpu
