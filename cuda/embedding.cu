// Ids are checked before anything is written: they come from text and configuration, not from us.
#include "cuda/grid_loop.cuh"
#include "cuda/index_check.h"
#include "cuda/numbers.cuh"
#include "cuda/operations.h"

namespace ballast::cuda {

namespace {

template <class T>
void LookUp(const Context& context, const EmbeddingParams& p) {
  const std::int64_t channels = p.table.cols();
  const std::int32_t* ids = p.ids.i32();
  const T* table = p.table.as<T>();
  float* out = p.out.f32();
  ForEach(context, "embedding", p.out.shape.elements(), [=] __device__(std::int64_t i) {
    out[i] = convert<float>(table[ids[i / channels] * channels + i % channels]);
  });
}

}  // namespace

void Embedding(const Context& context, const EmbeddingParams& params) {
  CheckIndex(context, "token ids", params.ids, params.table.rows());
  WithWeightType(params.table.dtype,
                 [&](auto type) { LookUp<typename decltype(type)::type>(context, params); });
}

}  // namespace ballast::cuda
