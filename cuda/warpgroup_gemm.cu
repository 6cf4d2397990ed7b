#include <cstdlib>
#include <string>

#include "cuda/check.h"
#include "cuda/warpgroup_gemm.h"
#include "cuda/warpgroup_gemm_kernel.cuh"
#include "native/core/error.h"

namespace ballast::cuda {
namespace {

// That work at a time, and how often each of them makes a tile.
template <class S>
int ClustersOf(const Context& context) {
  return std::max(context.processors / S::kCluster, 1);
}
template <class S>
std::int64_t RoundsOf(const Context& context, const GemmArguments& tiled) {
  return DivideUp(tiled.tiles, ClustersOf<S>(context));
}

template <class S>
void LaunchKernel(const Context& context, const char* operation, const GemmArguments& tiled) {
  const auto kernel = warpgroup_gemm_kernel<S>;
  Check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, S::kBytes),
        "preparing a product");
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {S::kCluster, 1, 1};
  const auto blocks =
      static_cast<unsigned>(S::kCluster * std::min(tiled.tiles, ClustersOf<S>(context)));
  const cudaLaunchConfig_t config = {blocks,         kWarpgroupThreads, S::kBytes,
                                     context.stream, &cluster,          S::kCluster > 1 ? 1 : 0};
  cudaLaunchKernelEx(&config, kernel, tiled);
  CheckLaunch(operation);
}

// As pairs of blocks where that leaves no more multiprocessors without work at the end.
template <int kPlanesA, int kPlanesB, int kColumns>
void Launch(const Context& context, const char* operation, const GemmArguments& arguments) {
  using Single = WarpgroupShape<kPlanesA, kPlanesB, kColumns, 1>;
  using Pair = WarpgroupShape<kPlanesA, kPlanesB, kColumns, 2>;
  const GemmArguments single = Tiled<Single::kRows, kColumns>(arguments);
  if (context.products == ProductKernel::kWarpgroupPairs) {
    const GemmArguments pairs = Tiled<Pair::kRows, kColumns>(arguments);
    if (RoundsOf<Pair>(context, pairs) <= RoundsOf<Single>(context, single)) {
      return LaunchKernel<Pair>(context, operation, pairs);
    }
  }
  LaunchKernel<Single>(context, operation, single);
}

template <int kColumns>
std::int64_t TimeOf(const Context& context, const GemmArguments& arguments) {
  using S = WarpgroupShape<1, 1, kColumns, 1>;
  return RoundsOf<S>(context, Tiled<S::kRows, kColumns>(arguments)) * kColumns;
}

// A tile of 256 columns reads a quarter less for each product than one of 128, which is what bounds
// the narrow one; but it can leave many multiprocessors without work at the end. Both add up an
// element in the same order.
void LaunchOnePlane(const Context& context, const char* operation, const GemmArguments& arguments) {
  if (TimeOf<128>(context, arguments) * 5 < TimeOf<256>(context, arguments) * 4) {
    return Launch<1, 1, 128>(context, operation, arguments);
  }
  Launch<1, 1, 256>(context, operation, arguments);
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
  const auto kernel = warpgroup_gemm_kernel<WarpgroupShape<1, 1, 256, 1>>;
  Check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
        "reading its properties");
  if (attributes.maxThreadsPerBlock < kWarpgroupThreads) {
    return "this build has no code for 9.0a; set BALLAST_CUDA_ARCHITECTURES to all or 90a-real";
  }
  return {};
}

}  // namespace

ProductKernel ChooseProductKernel(int device) {
  const char* variable = std::getenv("BALLAST_CUDA_PRODUCTS");
  const std::string wanted = variable == nullptr ? "" : variable;
  if (wanted == "mma.sync") return ProductKernel::kMmaSync;
  const bool pairs = wanted == "wgmma-pairs";
  if (!wanted.empty() && wanted != "wgmma" && !pairs) {
    throw Error(ErrorCode::kUnsupported,
                "Expected mma.sync, wgmma or wgmma-pairs for BALLAST_CUDA_PRODUCTS but received '" +
                    wanted + "'.");
  }
  const std::string why_not = WhyNot(device);
  if (why_not.empty()) return pairs ? ProductKernel::kWarpgroupPairs : ProductKernel::kWarpgroups;
  if (wanted.empty()) return ProductKernel::kMmaSync;
  throw Error(ErrorCode::kUnsupported,
              "BALLAST_CUDA_PRODUCTS=" + wanted + " is not available: " + why_not + ".");
}

void LaunchWarpgroups(const Context& context, const char* operation, int planes_a, int planes_b,
                      const GemmArguments& arguments) {
  if (planes_a == 1) return LaunchOnePlane(context, operation, arguments);
  if (planes_a == 2) return Launch<2, 2, 128>(context, operation, arguments);
  if (planes_b == 1) return Launch<3, 1, 128>(context, operation, arguments);
  if (planes_b == 2) return Launch<3, 2, 128>(context, operation, arguments);
  Launch<3, 3, 128>(context, operation, arguments);
}

}  // namespace ballast::cuda
