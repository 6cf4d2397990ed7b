#include "native/cpu/super_blocks.h"

#include "native/backend/super_block_bytes.h"
#include "native/cpu/rows.h"

namespace ballast::cpu {
namespace {

// body(super-block, its first group), super-blocks and groups numbered through.
template <class Body>
void ForEachSuperBlock(const Context& context, const SuperBlocksParams& p, Body body) {
  const std::int64_t columns = p.codes.cols(), supers = columns / SuperBlock::kColumns;
  const std::int64_t groups = SuperBlockOf(p.bits).groups();
  ForEachRow(context, p.codes.rows(), RowsOfTask(columns), [&](std::int64_t row) {
    for (std::int64_t s = row * supers; s < (row + 1) * supers; ++s) body(s, s * groups);
  });
}

}  // namespace

void PackSuperBlocks(const Context& context, const SuperBlocksParams& p) {
  WithSuperBlockBits(p.bits, [&]<int kBits>() {
    ForEachSuperBlock(context, p, [&](std::int64_t i, std::int64_t group) {
      PackSuperBlock<kBits>(p.codes.u8() + i * SuperBlock::kColumns, p.scales.f32() + group,
                            p.zeros.f32() + group,
                            p.blocks.u8() + i * SuperBlockBytesOf<kBits>().size);
    });
  });
}

void UnpackSuperBlocks(const Context& context, const SuperBlocksParams& p) {
  WithSuperBlockBits(p.bits, [&]<int kBits>() {
    ForEachSuperBlock(context, p, [&](std::int64_t i, std::int64_t group) {
      UnpackSuperBlock<kBits>(p.blocks.u8() + i * SuperBlockBytesOf<kBits>().size,
                              p.codes.u8() + i * SuperBlock::kColumns, p.scales.f32() + group,
                              p.zeros.f32() + group);
    });
  });
}

}  // namespace ballast::cpu
