// The parts of LinearKernels of the instruction set that a file is compiled for.
#pragma once

#include "native/cpu/kernels/linear_kernels.h"
#include "native/cpu/kernels/vector.h"

namespace ballast::cpu::BALLAST_ISA {

GemmKernels MakeFloat32Kernels();
// For machines without bfloat16 products: operands are rounded while they are packed, and
// multiplied as float32. The products of bfloat16 numbers are exact in float32, so this differs in
// the order of sums only.
GemmKernels MakeRoundedKernels();
// Rows that a sweep takes at once.
constexpr std::int64_t kSweepRows = 2 * kLanes;
void QuantizeColumns(const GptqColumns& columns);
void AnswerColumns(const GptqColumns& columns);
void TurnRows(const float* rows, std::int64_t stride, std::int64_t count, std::int64_t columns,
              float* turned);
void TurnColumns(const float* turned, std::int64_t count, std::int64_t columns, float* rows,
                 std::int64_t stride);
void TurnCodes(const float* turned, std::int64_t count, std::int64_t columns, std::uint8_t* rows,
               std::int64_t stride);
void ProjectColumns(const DescentColumns& columns);
void ShiftColumns(const DescentColumns& columns, const float* change);
void SumRefit(const RefitColumn& column, double* slope, double* curvature);
void ApplyRefit(const RefitColumn& column, const float* change);
void DescendColumns(const DescentColumns& columns);
bool ReverseCholesky(double* a, std::int64_t n);
void InvertUpper(const double* r, std::int64_t n, double* inverse);

}  // namespace ballast::cpu::BALLAST_ISA
