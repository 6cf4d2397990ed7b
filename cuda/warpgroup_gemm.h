// The product on the tensor cores as compute capability 9.0 feeds them (wgmma), from factors packed
// in Layout::kTiles.
#pragma once

#include "cuda/context.h"

namespace ballast::cuda {

struct GemmArguments;

// Whether a GPU's products run on it: where the GPU is of compute capability 9.0 and the library
// was compiled for 9.0a, unless BALLAST_CUDA_PRODUCTS=mma.sync. Throws Error{kUnsupported} when
// that variable asks for wgmma and it is not to be had, or for anything else.
bool ChoosesWarpgroups(int device);

void LaunchWarpgroups(const Context& context, const char* operation, int planes_a, int planes_b,
                      const GemmArguments& arguments);

}  // namespace ballast::cuda
