// SPDX-License-Identifier: MIT
// The SystemC model's array against the Verilated RTL of a 4x4 one: the same edge beats in the same
// cycles, every output port compared in every cycle.
#include <verilated.h>

#include <cstring>
#include <random>

#include "Varray_os.h"
#include "Varray_ws.h"
#include "catch.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/sim/array_systemc.hpp"

using namespace lowbit;
using namespace lowbit::sim;

namespace {

constexpr int size = 4;
constexpr int lanes = 16;
constexpr int beat_bits = 8 + 4 * lanes;
constexpr int acc_bits = 72;

/// Writes the low `count` bits of `value` at bit `at` of a wide port.
template <class Port>
void put(Port& port, int at, int count, std::uint64_t value) {
  for (int i = 0; i < count; ++i) {
    const auto bit = static_cast<std::uint32_t>((value >> i) & 1);
    auto& word = port[static_cast<std::size_t>((at + i) / 32)];
    const int place = (at + i) % 32;
    word = (word & ~(1U << place)) | bit << place;
  }
}

template <class Port>
void put_operand(Port& port, int index, const ArrayGrid::Operand& operand) {
  put(port, index * beat_bits, 8, operand.scale);
  for (int lane = 0; lane < lanes; ++lane) {
    put(port, index * beat_bits + 8 + 4 * lane, 4, operand.codes[lane]);
  }
}

/// The accumulator on a port as sign-extended limbs.
template <class Port>
std::array<std::uint64_t, 2> get_acc(const Port& port, int index) {
  std::array<std::uint64_t, 2> limbs{};
  for (int i = 0; i < 128; ++i) {
    const int bit = index * acc_bits + (i < acc_bits ? i : acc_bits - 1);
    const std::uint64_t value = (port[static_cast<std::size_t>(bit / 32)] >> (bit % 32)) & 1;
    limbs[static_cast<std::size_t>(i / 64)] |= value << (i % 64);
  }
  return limbs;
}

BlockTensor raw_tensor(std::size_t rows, std::size_t columns, unsigned seed) {
  // Any codes and any scale bytes but NaN, which would set flags that are not compared here.
  std::mt19937 g(seed);
  BlockTensor t;
  t.format = find_block_format("if4");
  t.rows = rows;
  t.columns = columns;
  for (std::size_t i = 0; i < rows * t.value_bytes_per_row(); ++i) {
    t.values.push_back(static_cast<std::uint8_t>(g()));
  }
  for (std::size_t i = 0; i < rows * t.blocks_per_row(); ++i) {
    auto byte = static_cast<std::uint8_t>(g());
    if ((byte & 0x7F) == 0x7F) byte = 0x7E;
    t.scales.push_back(byte);
  }
  return t;
}

struct Tally {
  std::int64_t cycles = 0, outputs = 0, wrong = 0;
};

/// Compares the outputs of one cycle; ports that should be silent must be.
template <class Model>
void compare_ports(const Model& rtl, const std::vector<GridOutput>& outputs, Tally& tally) {
  std::uint32_t valid = 0;
  for (const GridOutput& output : outputs) {
    valid |= 1U << output.port;
    const auto& limbs = output.value.integer.limbs();
    const auto acc = get_acc(rtl.acc_o, output.port);
    tally.wrong += acc[0] != limbs[0] || acc[1] != limbs[1];
    ++tally.outputs;
  }
  tally.wrong += valid != rtl.valid_o;
  ++tally.cycles;
}

template <class Model>
void clock(Model& rtl) {
  rtl.clk_i = 1;
  rtl.eval();
  rtl.clk_i = 0;
  rtl.eval();
}

ArrayConfig config_of(Dataflow flow, double bandwidth) {
  ArrayConfig config;
  config.rows = config.columns = size;
  config.dataflow = flow;
  config.bandwidth_gb_s = bandwidth;
  config.memory_latency = 7;
  return config;
}

}  // namespace

TEST_CASE("output stationary: the RTL of a 4x4 array, cycle by cycle") {
  Tally tally;
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 g(seed);
    const std::size_t m = 1 + g() % 18, n = 1 + g() % 18, k = 1 + g() % 300;
    const BlockTensor a = raw_tensor(m, k, seed + 100);
    const BlockTensor w = raw_tensor(n, k, seed + 200);
    const ArrayConfig config = config_of(Dataflow::output_stationary, seed % 3 == 0 ? 0.5 : 50);
    const ArrayGrid operands(config, a, w);
    Varray_os rtl;
    rtl.rst_ni = 0;
    clock(rtl);
    rtl.rst_ni = 1;
    ArrayData data;
    data.a = &a;
    data.w = &w;
    data.observer = [&](const EdgeBeat& beat, const std::vector<GridOutput>& outputs) {
      compare_ports(rtl, outputs, tally);
      rtl.valid_i = beat.valid;
      rtl.first_i = beat.first;
      rtl.last_i = beat.last;
      for (int i = 0; i < size && beat.valid; ++i) {
        put_operand(rtl.a_i, i, operands.a(beat.m + i, beat.k));
        put_operand(rtl.w_i, i, operands.w(beat.n + i, beat.k));
      }
      clock(rtl);
    };
    (void)step_layer(config,
                     {"", static_cast<std::int64_t>(m), static_cast<std::int64_t>(n),
                      static_cast<std::int64_t>(k), 1},
                     &data);
  }
  CHECK(tally.wrong == 0);
  CHECK(tally.outputs > 1000);
  WARN(tally.cycles << " cycles, " << tally.outputs << " outputs");
}

TEST_CASE("weight stationary: the RTL of a 4x4 array, cycle by cycle") {
  Tally tally;
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 g(seed);
    const std::size_t m = 1 + g() % 30, n = 1 + g() % 18, k = 1 + g() % 300;
    const BlockTensor a = raw_tensor(m, k, seed + 100);
    const BlockTensor w = raw_tensor(n, k, seed + 200);
    const ArrayConfig config = config_of(Dataflow::weight_stationary, seed % 3 == 0 ? 0.5 : 50);
    const TilePlan plan(config, {"", static_cast<std::int64_t>(m), static_cast<std::int64_t>(n),
                                 static_cast<std::int64_t>(k), 1});
    const ArrayGrid operands(config, a, w);
    Varray_ws rtl;
    rtl.rst_ni = 0;
    clock(rtl);
    rtl.rst_ni = 1;
    // The weights of the next tile go in as early as the rule allows: once the last unit has taken
    // over those of the current one.
    std::int64_t next_tile = 0;
    int rows_left = size;
    std::int64_t hold = 0;
    ArrayData data;
    data.a = &a;
    data.w = &w;
    data.observer = [&](const EdgeBeat& beat, const std::vector<GridOutput>& outputs) {
      compare_ports(rtl, outputs, tally);
      const bool swap = beat.valid && beat.first;
      if (swap) {
        // A tile must not start before its weights are in: the interval's promise.
        tally.wrong += rows_left != 0;
        hold = 2 * size - 1;
        rows_left = next_tile < plan.size() ? size : 0;
      }
      rtl.load_i = hold == 0 && rows_left > 0;
      if (rtl.load_i != 0) {
        const TilePlan::Origin at = plan.origin(next_tile);
        --rows_left;
        for (int c = 0; c < size; ++c) {
          put_operand(rtl.w_i, c, operands.w(at.column + c, at.row + rows_left));
        }
        if (rows_left == 0) ++next_tile;
      }
      hold -= hold > 0;
      rtl.valid_i = beat.valid;
      rtl.swap_i = swap;
      for (int i = 0; i < size && beat.valid; ++i) {
        put_operand(rtl.a_i, i, operands.a(beat.m, beat.k + i));
      }
      clock(rtl);
    };
    (void)step_layer(config, plan.shape(), &data);
  }
  CHECK(tally.wrong == 0);
  CHECK(tally.outputs > 1000);
  WARN(tally.cycles << " cycles, " << tally.outputs << " outputs");
}
