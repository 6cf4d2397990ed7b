// Marks what is the same on every device, and so is compiled for GPUs too.
#pragma once

#if defined(__CUDACC__)
#define BALLAST_EVERYWHERE __host__ __device__
#else
#define BALLAST_EVERYWHERE
#endif
