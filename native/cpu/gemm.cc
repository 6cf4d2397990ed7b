// The depth is walked in stretches. At each, all threads pack a sheet of B together, as blocks of
// half a level-2 cache at most; then each takes bands of rows of A, packs a band's strips, which
// stay in its level-2 cache, and multiplies them with block after block.
#include "native/cpu/gemm.h"

#include <algorithm>
#include <memory>

#include "native/core/divide_up.h"
#include "native/cpu/scratch.h"

namespace ballast::cpu {
namespace {

// Memory that a thread keeps from product to product: these are over in milliseconds, and fresh
// memory would cost a page fault every 4 KiB.
class KeptMemory {
 public:
  // Also where nothing is asked for, as a product without depth does.
  std::byte* AtLeast(std::int64_t bytes) {
    if (memory_ == nullptr || bytes > bytes_) {
      bytes_ = 0;
      memory_.reset();
      memory_ = std::make_unique<Scratch<std::byte>>(bytes);
      bytes_ = bytes;
    }
    return memory_->data();
  }

 private:
  std::unique_ptr<Scratch<std::byte>> memory_;
  std::int64_t bytes_ = 0;
};

constexpr auto kFloat = static_cast<std::int64_t>(sizeof(float));

struct Span {
  std::int64_t begin, end;
};

// Part `part` of `parts` of a span, cut at whole multiples of `unit` from its begin.
Span PartOf(Span span, std::int64_t part, std::int64_t parts, std::int64_t unit) {
  const std::int64_t units = DivideUp(span.end - span.begin, unit);
  const auto bound = [&](std::int64_t i) {
    return std::min(span.begin + units * i / parts * unit, span.end);
  };
  return {bound(part), bound(part + 1)};
}

// Where sums are made: C itself, or rows of some columns of it.
struct Sums {
  float* data;
  std::int64_t stride;
};

// One stretch of the depth of some columns of C.
class Sheet {
 public:
  Sheet(const Context& context, const GemmKernels& kernels, const Product& p, const Finish& finish)
      : context_(context), kernels_(kernels), p_(p), finish_(finish) {}

  // With sums at null, each strip's are made aside, and are lost once it is finished.
  void Run(Span columns, Span depth, Sums sums) {
    columns_ = columns;
    depth_ = depth;
    sums_ = sums;
    thread_local KeptMemory memory;
    const std::int64_t blocks = DivideUp(columns.end - columns.begin, kernels_.block_columns);
    blocks_ = memory.AtLeast(blocks * kernels_.block_bytes);
    context_.pool.ParallelFor(
        DivideUp(columns.end - columns.begin, kernels_.panel_columns), kPanelsAtOnce,
        [&](std::int64_t begin, std::int64_t end) {
          PackPanels({begin, end});
        },
        context_.cancel);
    const auto [bands, parts] = Cut(blocks);
    context_.pool.ParallelFor(
        bands * parts, 1,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            MultiplyBand(PartOf({0, p_.rows}, i / parts, bands, kernels_.strip_rows),
                         PartOf({0, blocks}, i % parts, parts, 1));
          }
        },
        context_.cancel);
  }

 private:
  static constexpr std::int64_t kPanelsAtOnce = 2;

  struct Counts {
    std::int64_t bands, parts;
  };
  // Bands as tall as the kernel wants them, but a few tasks for each thread. Rows are cut further
  // before columns are, unless these are many: each part of them packs a band's strips anew. Where
  // rows do not suffice columns are cut all the same.
  Counts Cut(std::int64_t blocks) const {
    constexpr std::int64_t kShareRows = 128;
    constexpr std::int64_t kShareBlocks = 4;
    constexpr std::int64_t kLeastRows = 64;
    constexpr std::int64_t kLeastTriangleRows = 28;
    const std::int64_t threads = context_.pool.threads();
    const std::int64_t wanted = threads == 1 ? 1 : 4 * threads;
    const auto in_bands_of = [&](std::int64_t rows) { return DivideUp(p_.rows, rows); };
    const std::int64_t shares = std::max<std::int64_t>(1, blocks / kShareBlocks);
    std::int64_t bands = std::max(in_bands_of(kernels_.band_rows),
                                  std::min(DivideUp(wanted, shares), in_bands_of(kShareRows)));
    bands = std::min(RoundUp(bands, threads), in_bands_of(kLeastRows));
    // Bands of a triangle differ in length.
    if (p_.upper) bands = std::max(bands, std::min(wanted, in_bands_of(kLeastTriangleRows)));
    bands = std::min(bands, in_bands_of(kernels_.strip_rows));
    return {bands, std::min(blocks, DivideUp(wanted, bands))};
  }

  Span BlockSpan(std::int64_t i) const {
    const std::int64_t begin = columns_.begin + i * kernels_.block_columns;
    return {begin, std::min(begin + kernels_.block_columns, columns_.end)};
  }

  void PackPanels(Span panels) const {
    const std::int64_t in_block = kernels_.block_columns / kernels_.panel_columns;
    for (std::int64_t next, at = panels.begin; at < panels.end; at = next) {
      const std::int64_t i = at / in_block;
      next = std::min((i + 1) * in_block, panels.end);
      const auto [begin, end] = BlockSpan(i);
      kernels_.pack_block(p_.b, {begin, end - begin, depth_.begin, depth_.end - depth_.begin},
                          (at - i * in_block) * kernels_.panel_columns,
                          std::min((next - i * in_block) * kernels_.panel_columns, end - begin),
                          blocks_ + i * kernels_.block_bytes);
    }
  }

  void MultiplyBand(Span rows, Span blocks) const {
    thread_local KeptMemory memory;
    const std::int64_t count = DivideUp(rows.end - rows.begin, kernels_.strip_rows);
    const std::int64_t aside =
        sums_.data == nullptr ? kernels_.strip_rows * kernels_.block_columns : 0;
    const std::int64_t strip_bytes = kernels_.strip_bytes(depth_.end - depth_.begin);
    std::byte* strips = memory.AtLeast(count * strip_bytes + aside * kFloat);
    auto* const strip_sums = reinterpret_cast<float*>(strips + count * strip_bytes);
    std::int64_t packed = 0;
    for (std::int64_t i = blocks.begin; i < blocks.end; ++i) {
      const Span columns = BlockSpan(i);
      for (std::int64_t s = 0; s < count; ++s) {
        const std::int64_t row = rows.begin + s * kernels_.strip_rows;
        if (p_.upper && row > columns.end - 1) break;
        const std::int64_t height = std::min(kernels_.strip_rows, rows.end - row);
        std::byte* strip = strips + s * strip_bytes;
        if (s >= packed) {
          PackStrip({row, row + height}, strip);
          packed = s + 1;
        }
        const bool packs_next = packed == s + 1 && packed < count;
        const Sums sums =
            aside > 0 ? Sums{strip_sums, kernels_.block_columns}
                      : Sums{sums_.data + row * sums_.stride + columns.begin - columns_.begin,
                             sums_.stride};
        MultiplyStrip(strip, i, {row, row + height}, columns, sums,
                      packs_next           ? RowsFrom({row + height, rows.end})
                      : i + 1 < blocks.end ? PieceOf(i + 1, s, count)
                                           : Upcoming{});
      }
    }
  }

  // Where B is A, panels hold the rows of A as well, near by and already converted.
  void PackStrip(Span rows, std::byte* strip) const {
    const std::int64_t depth = depth_.end - depth_.begin;
    const std::int64_t item = rows.begin - columns_.begin;
    const bool in_panels = p_.a == p_.b && item >= 0 && rows.end <= columns_.end;
    if (in_panels && kernels_.turn_panels != nullptr) {
      const std::int64_t in_panel = item % kernels_.panel_columns;
      const std::int64_t next = item - in_panel + kernels_.panel_columns;
      return kernels_.turn_panels(PanelOf(item), PanelOf(next), in_panel, rows.end - rows.begin,
                                  depth, strip);
    }
    kernels_.pack_strips(p_.a, {rows.begin, rows.end - rows.begin, depth_.begin, depth}, strip);
  }

  const std::byte* PanelOf(std::int64_t column) const {
    const std::int64_t block = column / kernels_.block_columns;
    const std::int64_t panel = column % kernels_.block_columns / kernels_.panel_columns;
    return blocks_ + block * kernels_.block_bytes +
           panel * kernels_.panel_bytes(depth_.end - depth_.begin);
  }

  // The first of these rows of A, a strip of them; nothing where they lie across memory.
  Upcoming RowsFrom(Span rows) const {
    if (!p_.a.depth_contiguous) return {};
    const auto size = static_cast<std::int64_t>(SizeOf(p_.a.dtype));
    return {.data = static_cast<const std::byte*>(p_.a.data) +
                    (rows.begin * p_.a.stride + depth_.begin) * size,
            .stride = p_.a.stride * size,
            .rows = std::min(kernels_.strip_rows, rows.end - rows.begin),
            .bytes = (depth_.end - depth_.begin) * size};
  }

  // Piece `piece` of `pieces` of a block, cut into as many rows as a strip has.
  Upcoming PieceOf(std::int64_t block, std::int64_t piece, std::int64_t pieces) const {
    const auto [begin, end] = BlockSpan(block);
    const std::int64_t panels = DivideUp(end - begin, kernels_.panel_columns);
    const std::int64_t bytes = panels * kernels_.panel_bytes(depth_.end - depth_.begin);
    const std::int64_t row = DivideUp(bytes, pieces * kernels_.strip_rows);
    return {.data = blocks_ + block * kernels_.block_bytes + piece * kernels_.strip_rows * row,
            .stride = row,
            .rows = kernels_.strip_rows,
            .bytes = row};
  }

  void MultiplyStrip(const std::byte* strip, std::int64_t block, Span rows, Span columns,
                     const Sums& sums, const Upcoming& upcoming) const {
    const bool again = depth_.begin > 0 && p_.update == Update::kStore;
    const std::int64_t depth = depth_.end - depth_.begin;
    kernels_.multiply(strip, blocks_ + block * kernels_.block_bytes, depth, depth,
                      {.out = sums.data,
                       .stride = sums.stride,
                       .rows = rows.end - rows.begin,
                       .columns = columns.end - columns.begin,
                       .update = again ? Update::kAdd : p_.update,
                       .upper = p_.upper,
                       .diagonal = columns.begin - rows.begin},
                      upcoming);
    if (finish_ && depth_.end == p_.depth) {
      finish_({.row = rows.begin,
               .rows = rows.end - rows.begin,
               .column = columns.begin,
               .columns = columns.end - columns.begin,
               .sums = sums.data,
               .stride = sums.stride});
    }
  }

  const Context& context_;
  const GemmKernels& kernels_;
  const Product& p_;
  const Finish& finish_;
  Span columns_{};
  Span depth_{};
  Sums sums_{};
  std::byte* blocks_ = nullptr;
};

}  // namespace

void Multiply(const Context& context, const GemmKernels& kernels, const Product& p,
              const Finish& finish) {
  if (p.rows == 0 || p.columns == 0) return;
  constexpr std::int64_t kMostColumns = 4096;  // a sheet of 8 MiB, a good part of a level-3 cache
  // Sums that nobody keeps last from stretch to stretch of the depth here.
  thread_local KeptMemory memory;
  const std::int64_t width = std::min(kMostColumns, p.columns);
  float* const kept = p.out == nullptr && p.depth > kernels.depth
                          ? reinterpret_cast<float*>(memory.AtLeast(p.rows * width * kFloat))
                          : nullptr;
  Sheet sheet(context, kernels, p, finish);
  for (std::int64_t j = 0; j < p.columns; j += kMostColumns) {
    const Sums sums = p.out == nullptr ? Sums{kept, width} : Sums{p.out + j, p.stride};
    std::int64_t k = 0;
    do {
      sheet.Run({j, std::min(j + kMostColumns, p.columns)},
                {k, std::min(k + kernels.depth, p.depth)}, sums);
      k += kernels.depth;
    } while (k < p.depth);
  }
}

}  // namespace ballast::cpu
