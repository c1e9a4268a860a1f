// SPDX-License-Identifier: MIT
// A run of blocks, sixteen at a time: what is not whole is filled up with zeros, and blocks that a
// kernel does not serve are done again by the scalar engine. Compiled once per target.
#if defined(LOWBIT_GROUPS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_GROUPS_INL
#undef LOWBIT_GROUPS_INL
#else
#define LOWBIT_GROUPS_INL
#endif

#include <algorithm>
#include <type_traits>

#include "quantize/engine.hpp"
#include "quantize/vector/lanes-inl.hpp"
#include "quantize/vector/top_magnitude-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// What a kernel says of its sixteen blocks: block k in bit k.
struct GroupResult {
  std::uint32_t redo = 0;    ///< not decided here
  std::uint32_t second = 0;  ///< the second candidate was chosen
};

/// Blocks of a group again, one after another. \param first  the group's first block
/// \param size, bytes  elements and bytes of codes per block
inline void redo_blocks(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
                        const CodedRun& out, std::size_t first, std::uint32_t which,
                        std::size_t size, std::size_t bytes) {
  const Engine& scalar = scalar_engine(*t.format);
  for (; which != 0; which &= which - 1) {
    const std::size_t k = first + static_cast<std::size_t>(std::countr_zero(which));
    BlockRun one = run;
    one.x = run.x + k * size;
    one.blocks = 1;
    one.blocks_per_row = 1;
    one.last_columns = static_cast<std::size_t>(t.format->block_size);
    scalar.quantize(t, one, scratch,
                    {out.codes + k * bytes, out.scales + k,
                     out.choices != nullptr ? out.choices + k : nullptr});
  }
}

/// Asks for elements `first` to `first + count` of what is read next, as far as there are so many.
/// They go to the L2 cache: more of them can be under way than to the L1 cache.
HWY_INLINE void ask_for(std::span<const float> ahead, std::size_t first, std::size_t count) {
  constexpr std::size_t line = 64 / sizeof(float);
  const std::size_t end = std::min(ahead.size(), first + count);
  for (; first < end; first += line) __builtin_prefetch(ahead.data() + first, 0, 2);
}

/// Whether the caller is told of an element that is not finite.
inline bool finds_nonfinite(const BlockRun& run, std::size_t first, std::size_t count) {
  constexpr std::uint32_t infinity = 0x7F800000U;
  if (run.found_nonfinite == nullptr || top_bits(run.x + first, count) < infinity) return false;
  return *run.found_nonfinite = true;
}

/// \tparam Kernel  constructible from TensorConstants. prepare(x, scales, prepared) finds the
/// scales of sixteen blocks of Kernel::size elements and returns whether there may be NaN or
/// infinities among them, encode(x, prepared, codes, scales) finds their codes, Kernel::block_bytes
/// per block.
template <typename Kernel>
void quantize_blocks(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
                     const CodedRun& out) {
  constexpr std::size_t size = Kernel::size;
  constexpr std::size_t bytes = Kernel::block_bytes;
  const Kernel kernel(t);
  const BlockChoice first = t.selects ? Kernel::first : BlockChoice::only;
  const auto finish = [&](std::size_t k, std::size_t count, GroupResult result) {
    if (out.choices != nullptr) {
      for (std::size_t i = 0; i < count; ++i) {
        out.choices[k + i] = (result.second >> i & 1) != 0 ? Kernel::second : first;
      }
    }
    const std::uint32_t real = count == group_blocks ? 0xFFFFU : (1U << count) - 1;
    redo_blocks(t, run, scratch, out, k, result.redo & real, size, bytes);
  };
  // Finding a scale is a long chain of operations that depend on each other; several groups hide
  // it. A group that is not whole goes through copies.
  constexpr std::size_t together = 4;
  // Of what is read next, half is asked for in each of the two steps: a core waits for a few lines
  // at a time only.
  constexpr std::size_t asked = group_blocks * size / 2;
  typename Kernel::Prepared prepared[together];
  HWY_ALIGN float padded[group_blocks * size];
  HWY_ALIGN std::uint8_t padded_codes[group_blocks * bytes];
  HWY_ALIGN std::uint8_t padded_scales[group_blocks];
  for (std::size_t k = 0; k < run.blocks;) {
    const std::size_t blocks = std::min(together * group_blocks, run.blocks - k);
    const std::size_t groups = (blocks + group_blocks - 1) / group_blocks;
    const std::size_t rest = blocks % group_blocks;
    const auto is_cut = [&](std::size_t g) { return rest != 0 && g + 1 == groups; };
    if (rest != 0) {
      const float* const from = run.x + (k + blocks - rest) * size;
      std::fill(std::copy_n(from, rest * size, padded), padded + group_blocks * size, 0.0F);
    }
    bool may_be_nonfinite = false;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t at = k + g * group_blocks;
      const bool cut = is_cut(g);
      ask_for(run.ahead, at * size, asked);
      may_be_nonfinite |= kernel.prepare(cut ? padded : run.x + at * size,
                                         cut ? padded_scales : out.scales + at, prepared[g]);
    }
    if (HWY_UNLIKELY(may_be_nonfinite) && finds_nonfinite(run, k * size, blocks * size)) return;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t at = k + g * group_blocks;
      const bool cut = is_cut(g);
      ask_for(run.ahead, at * size + asked, asked);
      const GroupResult result = kernel.encode(cut ? padded : run.x + at * size, prepared[g],
                                               cut ? padded_codes : out.codes + at * bytes,
                                               cut ? padded_scales : out.scales + at);
      if (cut) {
        std::copy_n(padded_codes, rest * bytes, out.codes + at * bytes);
        std::copy_n(padded_scales, rest, out.scales + at);
      }
      if (result.redo != 0 || out.choices != nullptr) {
        finish(at, cut ? rest : group_blocks, result);
      }
    }
    k += blocks;
  }
}

/// \tparam Kernel  of rows; Kernel::Square is that of square blocks, or void
template <typename Kernel>
void quantize_groups(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
                     const CodedRun& out) {
  if (run.block_rows == 1 && !run.nonfinite) return quantize_blocks<Kernel>(t, run, scratch, out);
  using Square = typename Kernel::Square;
  if constexpr (!std::is_void_v<Square>) {
    if (run.block_rows * Kernel::size == Square::size && !run.nonfinite) {
      return quantize_blocks<Square>(t, run, scratch, out);
    }
  }
  scalar_engine(*t.format).quantize(t, run, scratch, out);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
