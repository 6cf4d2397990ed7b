#include "native/cpu/super_scales.h"

#include <algorithm>
#include <cmath>

#include "native/cpu/conversion.h"
#include "native/cpu/grid.h"
#include "native/cpu/rows.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

// The groups of one super-block, `offset` being scale·zero.
struct Group {
  bool empty;
  float scale, offset;
};

// The step whose multiple `most` is nearest to the largest of them; 1 where there is none.
float StepOf(const Kernels& kernels, float largest, int most) {
  if (!(largest > 0)) return 1;
  return StoredScale(kernels, DType::kFloat16, largest / static_cast<float>(most));
}

float Nearest(float value, float step, int least, int most) {
  const float whole = std::nearbyint(value / step) + 0.0f;  // no −0, which storage does not know
  return step * std::clamp(whole, static_cast<float>(least), static_cast<float>(most));
}

}  // namespace

void SuperScales(const Context& context, const SuperScalesParams& p) {
  const SuperBlock super = SuperBlockOf(p.bits);
  const std::int64_t columns = p.weight.cols(), groups = p.scales.cols();
  const std::int64_t supers = p.scale_steps.cols();
  ForEachRow(context, p.weight.rows(), RowsOfTask(columns), [&](std::int64_t row) {
    Scratch<float> weights(columns);
    ReadFloats(context.kernels, p.weight, row * columns, columns, weights.data());
    for (std::int64_t s = 0; s < supers; ++s) {
      float* const scales = p.scales.f32() + row * groups + s * super.groups();
      float* const zeros = p.zeros.f32() + row * groups + s * super.groups();
      Group found[SuperBlock::kColumns / 16];
      float largest_scale = 0, largest_offset = 0;
      for (std::int64_t g = 0; g < super.groups(); ++g) {
        const float* own = weights.data() + s * SuperBlock::kColumns + g * super.group_size;
        const bool empty = std::all_of(own, own + super.group_size, [](float w) { return w == 0; });
        found[g] = {empty, empty ? 0 : scales[g], empty ? 0 : scales[g] * zeros[g]};
        largest_scale = std::max(largest_scale, found[g].scale);
        largest_offset = std::max(largest_offset, found[g].offset);
      }
      const float scale_step = StepOf(context.kernels, largest_scale, super.most);
      const float offset_step =
          super.symmetric ? 0 : StepOf(context.kernels, largest_offset, super.most);
      p.scale_steps.f32()[row * supers + s] = scale_step;
      p.offset_steps.f32()[row * supers + s] = offset_step;
      for (std::int64_t g = 0; g < super.groups(); ++g) {
        scales[g] = Nearest(found[g].scale, scale_step, 1, super.most);
        if (super.symmetric) continue;
        zeros[g] = Nearest(found[g].offset, offset_step, 0, super.most) / scales[g];
      }
    }
  });
}

}  // namespace ballast::cpu
