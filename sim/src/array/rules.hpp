// SPDX-License-Identifier: MIT
// The timing rules that the event replay and the cycle-stepped model share: constants of the
// machine, not its behaviour.
#pragma once

#include "lowbit/sim/array.hpp"

namespace lowbit::sim {

/// From a tile's last beat to the last output leaving the array: the skew over rows and columns,
/// the unit, and the output register (weight stationary: the last partial-sum register).
std::int64_t drain_latency(const ArrayConfig& config);
/// Cycles that the memory channel is taken by a transfer: one at least.
std::int64_t transfer_cycles(const ArrayConfig& config, std::int64_t bytes);
/// Cycles of the quantizer's passes over A.
std::int64_t quantizer_cycles(const ArrayConfig& config, const GemmShape& shape);
/// Everything in a result that follows from its counts.
void finish(const ArrayConfig& config, const GemmShape& shape, ArrayResult& result);

}  // namespace lowbit::sim
