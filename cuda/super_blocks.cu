// Codes in super-blocks beside their scales, as GGUF files hold them, and grids of such: a thread
// takes one super-block.
#include "cuda/grid.cuh"
#include "cuda/grid_loop.cuh"
#include "cuda/operations.h"
#include "native/backend/super_block_bytes.h"

namespace ballast::cuda {
namespace {

constexpr int kMostGroups = super_block::kMostGroups;

// The step whose multiple `most` is nearest to the largest of them; 1 where there is none.
__device__ float step_of(float largest, int most) {
  if (!(largest > 0)) return 1;
  return stored_scale(DType::kFloat16, largest / static_cast<float>(most));
}

__device__ float nearest(float value, float step, int least, int most) {
  const float whole = rintf(value / step) + 0.0f;  // no −0, which storage does not know
  return step * clamp_float(whole, static_cast<float>(least), static_cast<float>(most));
}

// Scales and zeros of one super-block of weights, moved to its steps.
template <class T>
__device__ void move_to_steps(const T* weights, const SuperBlock& super, float* scales,
                              float* zeros, float& scale_step, float& offset_step) {
  const int groups = super_block::kColumns / static_cast<int>(super.group_size);
  float scale[kMostGroups], offset[kMostGroups];
  float largest_scale = 0, largest_offset = 0;
  for (int g = 0; g < groups; ++g) {
    bool empty = true;
    for (int j = 0; j < super.group_size; ++j) {
      empty = empty && convert<float>(weights[g * super.group_size + j]) == 0;
    }
    scale[g] = empty ? 0 : scales[g];
    offset[g] = empty ? 0 : scales[g] * zeros[g];
    largest_scale = fmaxf(largest_scale, scale[g]);
    largest_offset = fmaxf(largest_offset, offset[g]);
  }
  scale_step = step_of(largest_scale, super.most);
  offset_step = super.symmetric ? 0 : step_of(largest_offset, super.most);
  for (int g = 0; g < groups; ++g) {
    scales[g] = nearest(scale[g], scale_step, 1, super.most);
    if (!super.symmetric) {
      zeros[g] = nearest(offset[g], offset_step, 0, super.most) / scales[g];
    }
  }
}

template <class T>
void SuperScalesOf(const Context& context, const SuperScalesParams& params) {
  const SuperBlock super = SuperBlockOf(params.bits);
  const std::int64_t groups = super.groups();
  const T* weights = params.weight.as<T>();
  float* const scales = params.scales.f32();
  float* const zeros = params.zeros.f32();
  float* const scale_steps = params.scale_steps.f32();
  float* const offset_steps = params.offset_steps.f32();
  ForEach(context, "rounding scales", params.scale_steps.shape.elements(),
          [=] __device__(std::int64_t i) {
            move_to_steps(weights + i * super_block::kColumns, super, scales + i * groups,
                          zeros + i * groups, scale_steps[i], offset_steps[i]);
          });
}

template <int kBits>
void PackWith(const Context& context, const SuperBlocksParams& params) {
  const std::int64_t groups = SuperBlockOf(kBits).groups();
  const std::uint8_t* codes = params.codes.u8();
  const float* scales = params.scales.f32();
  const float* zeros = params.zeros.f32();
  std::uint8_t* const blocks = params.blocks.u8();
  ForEach(context, "packing super-blocks", params.codes.shape.elements() / SuperBlock::kColumns,
          [=] __device__(std::int64_t i) {
            constexpr int kBytes = SuperBlockBytesOf<kBits>().size;
            PackSuperBlock<kBits>(codes + i * super_block::kColumns, scales + i * groups,
                                  zeros + i * groups, blocks + i * kBytes);
          });
}

template <int kBits>
void UnpackWith(const Context& context, const SuperBlocksParams& params) {
  const std::int64_t groups = SuperBlockOf(kBits).groups();
  std::uint8_t* const codes = params.codes.u8();
  float* const scales = params.scales.f32();
  float* const zeros = params.zeros.f32();
  const std::uint8_t* blocks = params.blocks.u8();
  ForEach(context, "unpacking super-blocks", params.codes.shape.elements() / SuperBlock::kColumns,
          [=] __device__(std::int64_t i) {
            constexpr int kBytes = SuperBlockBytesOf<kBits>().size;
            UnpackSuperBlock<kBits>(blocks + i * kBytes, codes + i * super_block::kColumns,
                                    scales + i * groups, zeros + i * groups);
          });
}

}  // namespace

void SuperScales(const Context& context, const SuperScalesParams& params) {
  WithWeightType(params.weight.dtype,
                 [&](auto type) { SuperScalesOf<typename decltype(type)::type>(context, params); });
}

void PackSuperBlocks(const Context& context, const SuperBlocksParams& params) {
  WithSuperBlockBits(params.bits, [&]<int kBits>() { PackWith<kBits>(context, params); });
}

void UnpackSuperBlocks(const Context& context, const SuperBlocksParams& params) {
  WithSuperBlockBits(params.bits, [&]<int kBits>() { UnpackWith<kBits>(context, params); });
}

}  // namespace ballast::cuda
