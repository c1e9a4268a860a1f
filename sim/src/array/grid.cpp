// SPDX-License-Identifier: MIT
#include "lowbit/sim/array_grid.hpp"

#include <bit>

#include "lowbit/error.hpp"

namespace lowbit::sim {

ArrayGrid::ArrayGrid(const ArrayConfig& config, const BlockTensor& a, const BlockTensor& w)
    : config_(config), zeros_(static_cast<std::size_t>(config.lanes), 0) {
  if (a.format->block_size != config.lanes || w.format->block_size != config.lanes) {
    throw Error(ErrorKind::usage, "array: the operands' block size must be the units' lanes");
  }
  if (a.columns != w.columns) {
    throw Error(ErrorKind::usage, "array: A and W differ in K");
  }
  const auto unpack = [](const BlockTensor& t) {
    Unpacked u{static_cast<std::int64_t>(t.rows),
               static_cast<std::int64_t>(t.blocks_per_row()),
               {},
               t.scales};
    u.codes.reserve(t.rows * t.padded_columns());
    for (std::size_t r = 0; r < t.rows; ++r) {
      for (std::size_t c = 0; c < t.padded_columns(); ++c) {
        // Padding enters no sum: it must not turn a result into -0.
        u.codes.push_back(c < t.columns ? t.code(r, c) : std::uint8_t{0});
      }
    }
    return u;
  };
  a_ = unpack(a);
  w_ = unpack(w);
  const bool os = config.dataflow == Dataflow::output_stationary;
  const int units = os ? config.rows * config.columns : config.columns;
  units_.assign(static_cast<std::size_t>(units),
                ExactAccumulator(*a.format, *w.format, NanScale::largest));
  ports_.resize(static_cast<std::size_t>(os ? config.rows : config.columns));
  history_.resize(std::bit_ceil(static_cast<std::size_t>(config.rows + config.columns)));
}

ArrayGrid::Operand ArrayGrid::operand(const Unpacked& t, std::int64_t row,
                                      std::int64_t block) const {
  if (row >= t.rows || block >= t.blocks) return {0, zeros_.data()};
  const auto i = static_cast<std::size_t>(row * t.blocks + block);
  return {t.scales[i], t.codes.data() + i * zeros_.size()};
}

ArrayGrid::Operand ArrayGrid::a(std::int64_t row, std::int64_t block) const {
  return operand(a_, row, block);
}

ArrayGrid::Operand ArrayGrid::w(std::int64_t row, std::int64_t block) const {
  return operand(w_, row, block);
}

const EdgeBeat& ArrayGrid::past(std::int64_t hops) const {
  return history_[static_cast<std::size_t>(cycle_ - hops) & (history_.size() - 1)];
}

void ArrayGrid::step(const EdgeBeat& beat, std::vector<GridOutput>& outputs) {
  history_[static_cast<std::size_t>(cycle_) & (history_.size() - 1)] = beat;
  if (config_.dataflow == Dataflow::output_stationary) {
    step_output_stationary();
  } else {
    step_weight_stationary();
  }
  for (auto& port : ports_) {
    if (port.empty() || port.front().cycle != cycle_) continue;
    outputs.push_back(std::move(port.front().output));
    port.pop_front();
  }
  ++cycle_;
}

void ArrayGrid::step_output_stationary() {
  // Operands move one unit per cycle: unit (r, c) sees what entered r + c cycles ago.
  for (int r = 0; r < config_.rows; ++r) {
    for (int c = 0; c < config_.columns; ++c) {
      if (r + c > cycle_) continue;
      const EdgeBeat& beat = past(r + c);
      if (!beat.valid) continue;
      ExactAccumulator& unit = units_[static_cast<std::size_t>(r * config_.columns + c)];
      if (beat.first) unit.clear();
      const Operand left = a(beat.m + r, beat.k);
      const Operand top = w(beat.n + c, beat.k);
      unit.add_block(left.scale, {left.codes, zeros_.size()}, top.scale,
                     {top.codes, zeros_.size()});
      if (beat.last) {
        ports_[static_cast<std::size_t>(r)].push_back(
            {cycle_ + config_.unit_latency + 1, {r, beat.m + r, beat.n + c, unit.value()}});
      }
    }
  }
}

void ArrayGrid::step_weight_stationary() {
  // A partial sum goes down its column with the row of A that it belongs to, so column c is done
  // with a row R - 1 + c cycles after it entered.
  for (int c = 0; c < config_.columns; ++c) {
    const int hops = config_.rows - 1 + c;
    if (hops > cycle_) continue;
    const EdgeBeat& beat = past(hops);
    if (!beat.valid) continue;
    ExactAccumulator& column = units_[static_cast<std::size_t>(c)];
    column.clear();
    for (int r = 0; r < config_.rows; ++r) {
      const Operand left = a(beat.m, beat.k + r);
      const Operand weight = w(beat.n + c, beat.k + r);
      column.add_block(left.scale, {left.codes, zeros_.size()}, weight.scale,
                       {weight.codes, zeros_.size()});
    }
    ports_[static_cast<std::size_t>(c)].push_back(
        {cycle_ + config_.unit_latency + 1, {c, beat.m, beat.n + c, column.value()}});
  }
}

}  // namespace lowbit::sim
