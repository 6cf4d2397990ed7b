// One thread a pair of channels, and one for each channel beyond the rotated ones (arXiv
// 2104.09864). A pair is read before it is written, so the output may be the input.
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

void Rope(const Context& context, const RopeParams& p) {
  const std::int64_t half = p.cos.cols(), head_size = p.head_size, sequence = p.sequence;
  const std::int64_t heads = p.x.cols() / head_size;
  const std::int64_t items = head_size - half;  // of a head: `half` pairs, and the rest
  const float *x = p.x.f32(), *cos = p.cos.f32(), *sin = p.sin.f32();
  float* out = p.out.f32();
  const bool interleaved = p.interleaved;
  if (items == 0) return;
  ForEach(context, "rope", p.x.rows() * heads * items, [=] __device__(std::int64_t i) {
    const std::int64_t item = i % items, head = i / items;
    const std::int64_t begin = head * head_size;
    if (item >= half) {
      out[begin + half + item] = x[begin + half + item];
      return;
    }
    const std::int64_t first = begin + (interleaved ? 2 * item : item);
    const std::int64_t second = interleaved ? first + 1 : first + half;
    const std::int64_t angle = head / heads % sequence * half + item;
    const float a = x[first], b = x[second];
    out[first] = a * cos[angle] - b * sin[angle];
    out[second] = b * cos[angle] + a * sin[angle];
  });
}

}  // namespace ballast::cuda
