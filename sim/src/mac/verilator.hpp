// SPDX-License-Identifier: MIT
// The C++ driver of a Verilated unit, a template over Verilator's class.
#pragma once

#include <verilated.h>
#include <verilated_vcd_c.h>

#include <array>
#include <memory>

#include "mac/harness.hpp"
#include "mac/pins.hpp"

namespace lowbit::sim {

/// \tparam AccumulatorBits  width of out_acc_o, 0 where the unit has none.
template <typename Unit, int AccumulatorBits>
MacRunStats run_verilated(const BeatStream& stream, std::span<const MacResult> expected,
                          const MacRunOptions& options) {
  MacHarness harness(stream, expected, options);
  VerilatedContext context;
  context.traceEverOn(!options.vcd.empty());
  const auto unit = std::make_unique<Unit>(&context, "unit");
  std::unique_ptr<VerilatedVcdC> trace;
  if (!options.vcd.empty()) {
    trace = std::make_unique<VerilatedVcdC>();
    unit->trace(trace.get(), 99);
    trace->open(options.vcd.c_str());
  }
  std::uint64_t time = 0;
  const auto dump = [&] {
    if (trace) trace->dump(time++);
  };
  // A rising edge, and before it the falling one in which the inputs change.
  const auto low = [&] {
    unit->clk_i = 0;
    unit->eval();
    dump();
  };
  const auto high = [&] {
    unit->clk_i = 1;
    unit->eval();
    dump();
  };
  unit->rst_ni = 0;
  unit->in_valid_i = 0;
  unit->out_ready_i = 0;
  for (int i = 0; i < 2; ++i) low(), high();
  unit->rst_ni = 1;

  const auto result = [&] {
    MacResult r;
    r.fp32 = unit->out_fp32_o;
    r.flags = unit->out_flags_o;
    if constexpr (AccumulatorBits > 64) {
      r.acc = signed_word(unit->out_acc_o.m_storage, (AccumulatorBits + 31) / 32, AccumulatorBits);
    } else if constexpr (AccumulatorBits > 0) {
      r.acc =
          signed_word(std::array{static_cast<std::uint32_t>(unit->out_acc_o),
                                 static_cast<std::uint32_t>(std::uint64_t{unit->out_acc_o} >> 32)},
                      2, AccumulatorBits);
    }
    return r;
  };
  std::size_t driven = stream.size();
  const double start = processor_seconds();
  while (!harness.finished()) {
    harness.choose();
    unit->in_valid_i = harness.in_valid;
    if (harness.in_valid && harness.beat != driven) {
      driven = harness.beat;
      unit->in_first_i = stream.first(driven);
      unit->in_last_i = stream.last(driven);
      const std::uint64_t a_scale = stream.a_scale(driven);
      const std::uint64_t w_scale = stream.w_scale(driven);
      drive(unit->a_scale_i, &a_scale);
      drive(unit->w_scale_i, &w_scale);
      drive(unit->a_codes_i, stream.a_codes(driven));
      drive(unit->w_codes_i, stream.w_codes(driven));
    }
    unit->out_ready_i = harness.out_ready;
    unit->rst_ni = !harness.reset;
    low();
    harness.edge(unit->in_ready_o, unit->out_valid_o, result);
    high();
  }
  harness.stats().seconds = processor_seconds() - start;
  if (trace) trace->close();
  return harness.stats();
}

}  // namespace lowbit::sim
