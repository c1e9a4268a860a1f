// SPDX-License-Identifier: MIT
// The C++ driver of a Verilated unit, a template over Verilator's class.
#pragma once

#include <verilated.h>
#include <verilated_vcd_c.h>

#include <array>
#include <memory>

#include "mac/pin_loop.hpp"
#include "mac/pins.hpp"

namespace lowbit::sim {

/// \tparam AccumulatorBits  width of out_acc_o, 0 where the unit has none.
template <typename Unit, int AccumulatorBits>
class VerilatedPins {
 public:
  explicit VerilatedPins(const std::string& vcd) {
    context_.traceEverOn(!vcd.empty());
    unit_ = std::make_unique<Unit>(&context_, "unit");
    if (vcd.empty()) return;
    trace_ = std::make_unique<VerilatedVcdC>();
    unit_->trace(trace_.get(), 99);
    trace_->open(vcd.c_str());
  }
  ~VerilatedPins() {
    if (trace_) trace_->close();
  }
  VerilatedPins(const VerilatedPins&) = delete;
  VerilatedPins& operator=(const VerilatedPins&) = delete;

  void reset(bool active) { unit_->rst_ni = !active; }
  void valid(bool value) { unit_->in_valid_i = value; }
  void ready(bool value) { unit_->out_ready_i = value; }
  void beat(const BeatStream& stream, std::size_t at) {
    unit_->in_first_i = stream.first(at);
    unit_->in_last_i = stream.last(at);
    const std::uint64_t a_scale = stream.a_scale(at);
    const std::uint64_t w_scale = stream.w_scale(at);
    drive(unit_->a_scale_i, &a_scale);
    drive(unit_->w_scale_i, &w_scale);
    drive(unit_->a_codes_i, stream.a_codes(at));
    drive(unit_->w_codes_i, stream.w_codes(at));
  }
  void low() { step(0); }
  void high() { step(1); }
  [[nodiscard]] bool in_ready() const { return unit_->in_ready_o != 0; }
  [[nodiscard]] bool out_valid() const { return unit_->out_valid_o != 0; }
  [[nodiscard]] MacResult result() const {
    MacResult r;
    r.fp32 = unit_->out_fp32_o;
    r.flags = unit_->out_flags_o;
    if constexpr (AccumulatorBits > 64) {
      r.acc = signed_word(unit_->out_acc_o.m_storage, (AccumulatorBits + 31) / 32, AccumulatorBits);
    } else if constexpr (AccumulatorBits > 0) {
      r.acc =
          signed_word(std::array{static_cast<std::uint32_t>(unit_->out_acc_o),
                                 static_cast<std::uint32_t>(std::uint64_t{unit_->out_acc_o} >> 32)},
                      2, AccumulatorBits);
    }
    return r;
  }

 private:
  void step(int clock) {
    unit_->clk_i = clock;
    unit_->eval();
    if (trace_) trace_->dump(time_++);
  }

  VerilatedContext context_;
  std::unique_ptr<Unit> unit_;
  std::unique_ptr<VerilatedVcdC> trace_;
  std::uint64_t time_ = 0;
};

template <typename Unit, int AccumulatorBits>
MacRunStats run_verilated(const BeatStream& stream, std::span<const MacResult> expected,
                          const MacRunOptions& options) {
  VerilatedPins<Unit, AccumulatorBits> pins(options.vcd);
  return run_pins(pins, stream, expected, options);
}

}  // namespace lowbit::sim
