// SPDX-License-Identifier: MIT
// Runs of blocks through one engine, for comparing engines on every instruction set.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "quantize/engine.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit::cases {

/// Restores the best instruction set.
struct Forced {
  explicit Forced(const detail::VectorTarget& target) { detail::force_vector_target(target.id); }
  ~Forced() { detail::force_vector_target(0); }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;
};

struct Coded {
  std::vector<std::uint8_t> codes, scales;
  std::vector<BlockChoice> choices;
  friend bool operator==(const Coded&, const Coded&) = default;
};

/// \param rows  of a block
inline Coded run_engine(const detail::Engine& engine, const detail::TensorConstants& t,
                        const float* x, std::size_t blocks, detail::BlockScratch& scratch,
                        std::size_t rows = 1) {
  detail::BlockRun run;
  run.block_rows = run.real_rows = rows;
  run.x = x;
  run.original = x;
  run.blocks = blocks;
  run.blocks_per_row = blocks;
  run.last_columns = static_cast<std::size_t>(t.format->block_size);
  const std::size_t bytes =
      blocks * rows * run.last_columns * static_cast<std::size_t>(t.format->storage_bits()) / 8;
  // Guards around the outputs see what is written beside them.
  Coded out{std::vector<std::uint8_t>(bytes + 64, 0xA5),
            std::vector<std::uint8_t>(blocks + 64, 0xA5),
            std::vector<BlockChoice>(blocks, BlockChoice::only)};
  engine.quantize(t, run, scratch,
                  {out.codes.data() + 32, out.scales.data() + 32, out.choices.data()});
  return out;
}

/// Whether every access is checked, which takes eight times as long: a part of the data then goes
/// to the same places of each kernel.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

}  // namespace lowbit::cases
