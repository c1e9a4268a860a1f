// SPDX-License-Identifier: MIT
/// \file
/// The array as a SystemC model, stepped cycle by cycle: loader, memory, quantizer, array and drain
/// as clocked modules that see each other's counters one cycle later.
#pragma once

#include <functional>
#include <vector>

#include "lowbit/sim/array.hpp"
#include "lowbit/sim/array_grid.hpp"

namespace lowbit::sim {

/// Operands, and what becomes of the results.
struct ArrayData {
  const BlockTensor* a = nullptr;  ///< M x K
  const BlockTensor* w = nullptr;  ///< N x K
  /// Row-major M x N, filled with the exact values without tensor scales.
  std::vector<ExactValue> outputs;
  /// Where set, told of every cycle of the array: what entered, and what left.
  std::function<void(const EdgeBeat&, const std::vector<GridOutput>&)> observer;
};

/// Runs one layer on the SystemC kernel.
/// \param config  the array
/// \param shape  the layer
/// \param data  null: timing only.
/// \param trace  where not null, the timing of every tile.
/// \throws Error(usage) as TilePlan and ArrayGrid do. Not thread-safe: there is one SystemC kernel.
[[nodiscard]] ArrayResult step_layer(const ArrayConfig& config, const GemmShape& shape,
                                     ArrayData* data = nullptr,
                                     std::vector<TileTiming>* trace = nullptr);

}  // namespace lowbit::sim
