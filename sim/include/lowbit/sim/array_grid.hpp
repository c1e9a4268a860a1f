// SPDX-License-Identifier: MIT
/// \file
/// The units of an array with their data, one cycle at a time: the reference that the RTL of
/// lowbit_array_os and lowbit_array_ws is compared with, cycle by cycle.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/array.hpp"
#include "lowbit/sim/exact.hpp"

namespace lowbit::sim {

/// What is presented at the array's edge in one cycle.
///   output stationary: block k of rows m.. of A and of columns n.. of W, for one tile's beat;
///   weight stationary: blocks k.. of row m of A against the weights at blocks k.., columns n.. .
struct EdgeBeat {
  bool valid = false;  ///< whether there is a beat in this cycle
  bool first = false;  ///< of its tile
  bool last = false;   ///< of its tile
  std::int64_t m = 0,  ///< row of A
      n = 0,           ///< row of W, column of D
      k = 0;           ///< block of K
};

/// A result that leaves the array in this cycle.
struct GridOutput {
  int port;          ///< row (output stationary) or column (weight stationary)
  std::int64_t m,    ///< row of D; outside the matrix for padding
      n;             ///< column of D; outside the matrix for padding
  ExactValue value;  ///< of the segment; weight stationary: the tile's partial sum
};

/// The data path of the array: what every unit holds, stepped cycle by cycle. Not thread-safe.
class ArrayGrid {
 public:
  /// The tensors must outlive the grid. Weight codes and scales are W's as stored: [N, K].
  /// \throws Error(usage) unless both block sizes are the array's lanes and the columns agree.
  ArrayGrid(const ArrayConfig& config, const BlockTensor& a, const BlockTensor& w);

  /// One clock cycle. Appends what leaves the array in this cycle.
  void step(const EdgeBeat& beat, std::vector<GridOutput>& outputs);

  /// Unpacked operands as they enter at the edge: block `block` of a row, zeros outside the matrix.
  struct Operand {
    std::uint8_t scale;         ///< scale byte of the block
    const std::uint8_t* codes;  ///< one code per byte, as many as the array has lanes
  };
  /// Block `block` of row `row` of A.
  [[nodiscard]] Operand a(std::int64_t row, std::int64_t block) const;
  /// Block `block` of row `row` of W.
  [[nodiscard]] Operand w(std::int64_t row, std::int64_t block) const;

 private:
  struct Unpacked {
    std::int64_t rows, blocks;
    std::vector<std::uint8_t> codes, scales;
  };
  struct Pending {
    std::int64_t cycle;
    GridOutput output;
  };
  [[nodiscard]] Operand operand(const Unpacked& tensor, std::int64_t row, std::int64_t block) const;
  [[nodiscard]] const EdgeBeat& past(std::int64_t hops) const;
  void step_output_stationary();
  void step_weight_stationary();

  ArrayConfig config_;
  Unpacked a_, w_;
  std::vector<std::uint8_t> zeros_;
  std::vector<ExactAccumulator> units_;
  std::vector<EdgeBeat> history_;  ///< a ring of the last R + C cycles
  std::vector<std::deque<Pending>> ports_;
  std::int64_t cycle_ = 0;
};

}  // namespace lowbit::sim
