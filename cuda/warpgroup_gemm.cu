#include <cstdlib>
#include <string>

#include "cuda/check.h"
#include "cuda/warpgroup_gemm.h"
#include "cuda/warpgroup_gemm_kernel.cuh"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

template <class S>
void Launch(const Context& context, const char* operation, const GemmArguments& tiled) {
  const auto kernel = warpgroup_gemm_kernel<S>;
  Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kBytes),
        "preparing a product");
  const auto blocks = static_cast<unsigned>(std::min(tiled.tiles, context.processors));
  kernel<<<blocks, kWarpgroupThreads, S::kBytes, context.stream>>>(tiled);
  CheckLaunch(operation);
}

// A tile of 256 columns reads a quarter less for each product than one of 128, which is what bounds
// the narrow one; but it can leave many multiprocessors without work at the end. Both add up an
// element in the same order.
void LaunchOnePlane(const Context& context, const char* operation, const GemmArguments& arguments) {
  using Wide = WarpgroupShape<1, 1, 256>;
  using Narrow = WarpgroupShape<1, 1, 128>;
  const GemmArguments wide = Tiled<Wide::kColumns>(arguments);
  const GemmArguments narrow = Tiled<Narrow::kColumns>(arguments);
  const auto time = [&](const GemmArguments& p, int columns) {
    return DivideUp(p.tiles, context.processors) * columns;
  };
  if (time(narrow, Narrow::kColumns) * 5 < time(wide, Wide::kColumns) * 4) {
    return Launch<Narrow>(context, operation, narrow);
  }
  Launch<Wide>(context, operation, wide);
}

// Empty where this is, when the kernel can be run; or else why not, to complete "is not available:
// ".
std::string WhyNot(int device) {
  int major = 0, minor = 0;
  Check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "reading its properties");
  Check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "reading its properties");
  if (major != 9 || minor != 0) return "it needs a GPU of compute capability 9.0";
  cudaFuncAttributes attributes = {};
  const auto kernel = warpgroup_gemm_kernel<WarpgroupShape<1, 1, 256>>;
  Check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
        "reading its properties");
  if (attributes.maxThreadsPerBlock < kWarpgroupThreads) {
    return "this build has no code for 9.0a; set BALLAST_CUDA_ARCHITECTURES to all or 90a-real";
  }
  return {};
}

}  // namespace

bool ChoosesWarpgroups(int device) {
  const char* variable = std::getenv("BALLAST_CUDA_PRODUCTS");
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted == "mma.sync") return false;
  const std::string why_not = WhyNot(device);
  if (wanted.empty() || (wanted == "wgmma" && why_not.empty())) return why_not.empty();
  throw Error(ErrorCode::kUnsupported,
              wanted == "wgmma" ? "BALLAST_CUDA_PRODUCTS=wgmma is not available: " + why_not + "."
                                : "Expected mma.sync or wgmma for BALLAST_CUDA_PRODUCTS but "
                                  "received '" +
                                      wanted + "'.");
}

void LaunchWarpgroups(const Context& context, const char* operation, int planes_a, int planes_b,
                      const GemmArguments& arguments) {
  if (planes_a == 1) return LaunchOnePlane(context, operation, arguments);
  const auto launch = [&](auto shape) {
    using S = decltype(shape);
    Launch<S>(context, operation, Tiled<S::kColumns>(arguments));
  };
  if (planes_b == 1) return launch(WarpgroupShape<3, 1, 128>{});
  if (planes_b == 2) return launch(WarpgroupShape<3, 2, 128>{});
  launch(WarpgroupShape<3, 3, 128>{});
}

}  // namespace ballast::cuda
