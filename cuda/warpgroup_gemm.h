// The product on the tensor cores as compute capability 9.0 feeds them (wgmma), from factors packed
// in Layout::kTiles.
#pragma once

#include "cuda/context.h"

namespace ballast::cuda {

struct GemmArguments;

// What a GPU's products run on. wgmma where the GPU is of compute capability 9.0 and the library
// was compiled for 9.0a, else mma.sync, unless BALLAST_CUDA_PRODUCTS names one of mma.sync, wgmma
// and wgmma-pairs. Throws Error{kUnsupported} when what it asks for is not to be had, or for
// anything else.
ProductKernel ChooseProductKernel(int device);

void LaunchWarpgroups(const Context& context, const char* operation, int planes_a, int planes_b,
                      const GemmArguments& arguments);

}  // namespace ballast::cuda
