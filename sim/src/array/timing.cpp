// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <deque>

#include "array/rules.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/array.hpp"

namespace lowbit::sim {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

void require(bool condition, const char* message) {
  if (!condition) throw Error(ErrorKind::usage, message);
}

}  // namespace

TilePlan::TilePlan(const ArrayConfig& config, const GemmShape& shape)
    : config_(config), shape_(shape), blocks_(ceil_div(shape.k, std::max(config.lanes, 1))) {
  constexpr std::int64_t largest = std::int64_t{1} << 31;
  require(config.rows >= 1 && config.rows <= 1024 && config.columns >= 1 && config.columns <= 1024,
          "array: rows and columns must lie in 1..1024");
  require(config.lanes >= 1 && config.lanes <= 64, "array: lanes must lie in 1..64");
  require(config.bandwidth_gb_s > 0 && config.clock_mhz > 0 && config.memory_latency >= 0,
          "array: bandwidth and clock must be positive, the latency not negative");
  require(config.quantizer_rate >= 1 && config.candidates >= 1 && config.candidates <= 2,
          "array: the quantizer takes at least 1 element per cycle and 1 or 2 candidates");
  require(shape.m >= 1 && shape.n >= 1 && shape.k >= 1 && shape.m < largest && shape.n < largest &&
              shape.k < largest,
          "array: M, N and K must lie in 1..2^31 - 1");
  const auto rows = config.rows;
  const auto columns = config.columns;
  const double block = config.beat_bytes;
  const std::int64_t column_tiles = ceil_div(shape.n, columns);
  if (config.dataflow == Dataflow::output_stationary) {
    const std::int64_t row_tiles = ceil_div(shape.m, rows);
    const double a_panel = block * static_cast<double>(blocks_) * rows;
    const double w_panel = block * static_cast<double>(blocks_) * columns;
    buffer_bytes_ = config.buffer_bytes > 0 ? config.buffer_bytes : 2 * std::max(a_panel, w_panel);
    require(2 * std::max(a_panel, w_panel) <= buffer_bytes_,
            "array: an operand buffer must hold two panels of K; give a larger --buffer");
    const bool a_fits = a_panel * static_cast<double>(row_tiles) <= buffer_bytes_;
    const bool w_fits = w_panel * static_cast<double>(column_tiles) <= buffer_bytes_;
    const auto cost = [](bool fits, double stays, std::int64_t outer, double inner,
                         std::int64_t n) {
      const auto sweeps = fits ? 1.0 : static_cast<double>(outer);
      return stays * static_cast<double>(outer) + inner * static_cast<double>(n) * sweeps;
    };
    columns_outer_ = cost(a_fits, w_panel, column_tiles, a_panel, row_tiles) <=
                     cost(w_fits, a_panel, row_tiles, w_panel, column_tiles);
    outer_ = columns_outer_ ? column_tiles : row_tiles;
    inner_ = columns_outer_ ? row_tiles : column_tiles;
    stationary_fits_ = columns_outer_ ? a_fits : w_fits;
  } else {
    const double slice = block * rows * static_cast<double>(shape.m);
    const double weights = block * rows * columns;
    buffer_bytes_ = config.buffer_bytes > 0 ? config.buffer_bytes : 2 * std::max(slice, weights);
    require(2 * std::max(slice, weights) <= buffer_bytes_,
            "array: an operand buffer must hold two slices of A; give a larger --buffer");
    outer_ = column_tiles;
    inner_ = ceil_div(blocks_, rows);
    stationary_fits_ = slice * static_cast<double>(inner_) <= buffer_bytes_;
  }
  // Tiles are replayed one by one. A layer that would take hours, or more than 63 bits of cycles,
  // is refused.
  const double tiles = static_cast<double>(outer_) * static_cast<double>(inner_);
  require(tiles <= 1e10,
          "array: more than 10^10 tiles; give more rows and columns, or a smaller layer");
  const double per_cycle = config.bytes_per_cycle();
  const double m = static_cast<double>(shape.m);
  const double k = static_cast<double>(blocks_) * config.lanes;
  const double outputs = std::max<double>(rows, m) * columns * config.output_bytes;
  const double tile_bytes = block * ((static_cast<double>(blocks_) + m) * (rows + columns) +
                                     static_cast<double>(rows) * columns) +
                            outputs;
  const double tile_cycles = static_cast<double>(blocks_) + m + 4.0 * (rows + columns) +
                             config.memory_latency + config.unit_latency + tile_bytes / per_cycle;
  const double quantizing = m * k * (2.0 + 8.0 / per_cycle);
  require(tiles * tile_cycles + quantizing < 4e18,
          "array: the layer may take more than 2^62 cycles; give a smaller one or more bandwidth");
}

TilePlan::Origin TilePlan::origin(std::int64_t index) const {
  const std::int64_t outer = index / inner_;
  const std::int64_t inner = index % inner_;
  const bool columns_outer = config_.dataflow == Dataflow::weight_stationary || columns_outer_;
  const std::int64_t row = columns_outer ? inner : outer;
  const std::int64_t column = columns_outer ? outer : inner;
  return {row * config_.rows, column * config_.columns};
}

ArrayTile TilePlan::tile(std::int64_t index) const {
  const std::int64_t outer = index / inner_;
  const std::int64_t inner = index % inner_;
  const Origin at = origin(index);
  const auto clip = [](std::int64_t size, std::int64_t from, std::int64_t whole) {
    return static_cast<double>(std::min(size, whole - from));
  };
  const double columns = clip(config_.columns, at.column, shape_.n);
  const double block = config_.beat_bytes;
  const bool inner_load = outer == 0 || !stationary_fits_;
  double load = 0;
  double outputs = 0;
  ArrayTile tile;
  if (config_.dataflow == Dataflow::output_stationary) {
    const double rows = clip(config_.rows, at.row, shape_.m);
    const double depth = block * static_cast<double>(blocks_);
    const double stays = columns_outer_ ? columns : rows;
    const double streams = columns_outer_ ? rows : columns;
    load = depth * ((inner == 0 ? stays : 0) + (inner_load ? streams : 0));
    outputs = rows * columns;
    tile.beats = blocks_;
    tile.interval = std::max<std::int64_t>(blocks_, config_.columns);
  } else {
    const double depth = clip(config_.rows, at.row, blocks_);
    load = block * depth * (columns + (inner_load ? static_cast<double>(shape_.m) : 0));
    outputs = inner + 1 == inner_ ? static_cast<double>(shape_.m) * columns : 0;
    tile.beats = shape_.m;
    // The shadow weights may move once the last unit has taken them over, and need R cycles.
    tile.interval =
        std::max<std::int64_t>(shape_.m, 2 * std::int64_t{config_.rows} + config_.columns - 1);
  }
  tile.load_bytes = static_cast<std::int64_t>(std::ceil(load));
  tile.write_bytes = static_cast<std::int64_t>(std::ceil(outputs * config_.output_bytes));
  return tile;
}

std::string_view name_of(Bound bound) {
  switch (bound) {
    case Bound::compute:
      return "compute";
    case Bound::shape:
      return "shape";
    case Bound::memory:
      return "memory";
    case Bound::drain:
      return "drain";
    case Bound::weights:
      return "weights";
    case Bound::quantizer:
      return "quantizer";
  }
  return "";
}

std::int64_t ideal_cycles(const ArrayConfig& config, const GemmShape& shape) {
  const TilePlan plan(config, shape);
  const ArrayTile tile = plan.tile(0);
  return (plan.size() - 1) * tile.interval + tile.beats + drain_latency(config);
}

ArrayResult replay_layer(const ArrayConfig& config, const GemmShape& shape,
                         std::vector<TileTiming>* trace) {
  const TilePlan plan(config, shape);
  const std::int64_t tiles = plan.size();
  ArrayResult result;
  result.tiles = tiles;
  result.quantizer_cycles = quantizer_cycles(config, shape);

  // A window of the tiles under way: loads run at most two tiles ahead of the stream, writes follow
  // their tile's drain. Every rule is one line of docs/array.md.
  struct Write {
    std::int64_t arrival, bytes;
  };
  std::deque<Write> writes;
  std::int64_t next_load = 0;
  std::int64_t channel_free = 0;
  std::int64_t last_loaded = -1;
  std::int64_t start_1 = 0, start_2 = 0;  // of the tile before, and the one before that
  std::int64_t beats_1 = 0, beats_2 = 0;  // cycles that those stream
  std::int64_t interval_1 = 0, issue_1 = -1;
  std::int64_t end = 0;
  while (next_load < tiles || !writes.empty()) {
    std::int64_t issue = 0;
    if (next_load < tiles) {
      issue = issue_1 + 1;
      if (next_load == 0) issue = result.quantizer_cycles;
      if (next_load >= 2) issue = std::max(issue, start_2 + beats_2);
    }
    const bool load_next =
        next_load < tiles && (writes.empty() || issue + 1 <= writes.front().arrival);
    if (!load_next) {
      const Write write = writes.front();
      writes.pop_front();
      const std::int64_t begin = std::max(write.arrival, channel_free);
      channel_free = begin + transfer_cycles(config, write.bytes);
      result.bytes_written += static_cast<double>(write.bytes);
      end = std::max(end, channel_free);
      continue;
    }
    const ArrayTile tile = plan.tile(next_load);
    const std::int64_t begin = std::max(issue + 1, channel_free);
    const std::int64_t slot = transfer_cycles(config, tile.load_bytes);
    channel_free = begin + slot;
    const std::int64_t done = tile.load_bytes == 0 ? begin : begin + slot + config.memory_latency;
    last_loaded = std::max(last_loaded, done);
    result.bytes_read += static_cast<double>(tile.load_bytes);

    const std::int64_t could = next_load == 0 ? 0 : start_1 + interval_1;
    const std::int64_t start = std::max(last_loaded + 1, could);
    result.beats += tile.beats;
    if (next_load > 0) {
      result.wait_memory += start - could;
      result.wait_interval += interval_1 - beats_1;
    } else {
      result.wait_memory += start - result.quantizer_cycles;
    }
    const std::int64_t drained = start + tile.beats - 1 + drain_latency(config);
    if (tile.write_bytes > 0) writes.push_back({drained + 1, tile.write_bytes});
    if (trace != nullptr && trace->size() < 1'000'000) {
      trace->push_back({issue, last_loaded, start, drained});
    }
    end = std::max(end, drained + 1);
    issue_1 = issue;
    start_2 = start_1;
    beats_2 = beats_1;
    start_1 = start;
    beats_1 = tile.beats;
    interval_1 = tile.interval;
    ++next_load;
  }
  result.cycles = end;
  finish(config, shape, result);
  return result;
}

}  // namespace lowbit::sim
