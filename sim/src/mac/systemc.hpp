// SPDX-License-Identifier: MIT
// The SystemC driver of a Verilated unit: a TLM-2.0 initiator sends bursts of beats, a transactor
// turns them into pin activity and compares the results. SystemC elaborates once per process, so
// each run is a child process.
#pragma once

#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>
#include <verilated.h>
#include <systemc>
#include <tlm>

#include <array>
#include <functional>
#include <string>
#include <type_traits>

#include "mac/harness.hpp"
#include "mac/pins.hpp"

namespace lowbit::sim {

/// Runs `simulate` in a child process and returns its statistics.
/// \throws Error(internal) where the child does not survive.
MacRunStats run_in_child(const std::function<MacRunStats()>& simulate);

namespace systemc {

/// Ports are references in Verilator's classes.
template <typename Port>
using Data = typename std::remove_reference_t<Port>::data_type;
template <typename Port>
using Signal = sc_core::sc_signal<Data<Port>>;

template <int Bits>
struct Accumulator {
  sc_core::sc_signal<sc_dt::sc_bv<Bits>> signal;
};
template <>
struct Accumulator<0> {};

template <typename Value>
Value pin_value(const std::uint64_t* words) {
  if constexpr (requires(Value v) { v.set_word(0, 0U); }) {
    Value value;
    const int whole = value.length() / 32;
    for (int i = 0; i < whole; ++i) {
      value.set_word(i, static_cast<sc_dt::sc_digit>(words[i / 2] >> (32 * (i % 2))));
    }
    for (int i = 32 * whole; i < value.length(); ++i)
      value.set_bit(i, ((words[i / 64] >> (i % 64)) & 1) != 0 ? sc_dt::Log_1 : sc_dt::Log_0);
    return value;
  } else {
    return static_cast<Value>(*words);
  }
}

/// Target of the bursts; drives and samples the unit's pins, one rising edge each two steps.
template <typename Unit, int AccumulatorBits>
class Transactor : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<Transactor> socket{"socket"};

  Transactor(sc_core::sc_module_name name, MacHarness& harness)
      : sc_core::sc_module(name), harness_(harness), unit_("unit") {
    unit_.clk_i(clk_);
    unit_.rst_ni(rst_n_);
    unit_.in_valid_i(in_valid_);
    unit_.in_ready_o(in_ready_);
    unit_.in_first_i(in_first_);
    unit_.in_last_i(in_last_);
    unit_.a_scale_i(a_scale_);
    unit_.w_scale_i(w_scale_);
    unit_.a_codes_i(a_codes_);
    unit_.w_codes_i(w_codes_);
    unit_.out_valid_o(out_valid_);
    unit_.out_ready_i(out_ready_);
    unit_.out_fp32_o(out_fp32_);
    unit_.out_flags_o(out_flags_);
    if constexpr (AccumulatorBits > 0) unit_.out_acc_o(out_acc_.signal);
    socket.register_b_transport(this, &Transactor::transport);
    SC_HAS_PROCESS(Transactor);
    SC_METHOD(step);
  }

  void trace(sc_core::sc_trace_file* file) const {
    sc_core::sc_trace(file, clk_, "clk_i");
    sc_core::sc_trace(file, rst_n_, "rst_ni");
    sc_core::sc_trace(file, in_valid_, "in_valid_i");
    sc_core::sc_trace(file, in_ready_, "in_ready_o");
    sc_core::sc_trace(file, in_first_, "in_first_i");
    sc_core::sc_trace(file, in_last_, "in_last_i");
    sc_core::sc_trace(file, a_scale_, "a_scale_i");
    sc_core::sc_trace(file, w_scale_, "w_scale_i");
    sc_core::sc_trace(file, a_codes_, "a_codes_i");
    sc_core::sc_trace(file, w_codes_, "w_codes_i");
    sc_core::sc_trace(file, out_valid_, "out_valid_o");
    sc_core::sc_trace(file, out_ready_, "out_ready_i");
    sc_core::sc_trace(file, out_fp32_, "out_fp32_o");
    sc_core::sc_trace(file, out_flags_, "out_flags_o");
  }

 private:
  /// A burst: address = first beat, length = beats. Returns when the unit has taken all of them.
  void transport(tlm::tlm_generic_payload& burst, sc_core::sc_time&) {
    if (!burst.is_write() || burst.get_address() != harness_.limit) {
      burst.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    harness_.limit += burst.get_data_length();
    while (harness_.beat < harness_.limit && !harness_.finished()) sc_core::wait(burst_taken_);
    burst.set_response_status(harness_.stats().mismatches == 0 ? tlm::TLM_OK_RESPONSE
                                                               : tlm::TLM_GENERIC_ERROR_RESPONSE);
  }

  void step() {
    next_trigger(half_period_);
    if (high_next_) {
      if (warmup_ == 0) {
        harness_.edge(in_ready_.read(), out_valid_.read(), [&] { return result(); });
        if (harness_.finished()) sc_core::sc_stop();
        if (harness_.beat >= harness_.limit || harness_.finished()) burst_taken_.notify();
      } else {
        --warmup_;
      }
      clk_.write(true);
    } else {
      clk_.write(false);
      // Two edges in reset before the first beat.
      rst_n_.write(warmup_ == 0);
      if (warmup_ == 0) drive_pins();
    }
    high_next_ = !high_next_;
  }

  void drive_pins() {
    harness_.choose();
    in_valid_.write(harness_.in_valid);
    out_ready_.write(harness_.out_ready);
    if (harness_.reset) rst_n_.write(false);
    if (!harness_.in_valid || harness_.beat == driven_) return;
    driven_ = harness_.beat;
    const BeatStream& s = harness_.stream();
    const std::uint64_t a_scale = s.a_scale(driven_);
    const std::uint64_t w_scale = s.w_scale(driven_);
    in_first_.write(s.first(driven_));
    in_last_.write(s.last(driven_));
    a_scale_.write(static_cast<Data<decltype(Unit::a_scale_i)>>(a_scale));
    w_scale_.write(static_cast<Data<decltype(Unit::w_scale_i)>>(w_scale));
    a_codes_.write(pin_value<Data<decltype(Unit::a_codes_i)>>(s.a_codes(driven_)));
    w_codes_.write(pin_value<Data<decltype(Unit::w_codes_i)>>(s.w_codes(driven_)));
  }

  [[nodiscard]] MacResult result() const {
    MacResult r;
    r.fp32 = out_fp32_.read();
    r.flags = static_cast<std::uint8_t>(out_flags_.read());
    if constexpr (AccumulatorBits > 0) {
      static_assert(AccumulatorBits > 64, "narrower accumulators are integer pins");
      std::array<std::uint32_t, (AccumulatorBits + 31) / 32> words{};
      const auto& value = out_acc_.signal.read();
      for (int i = 0; i < static_cast<int>(words.size()); ++i) {
        words[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(value.get_word(i));
      }
      r.acc = signed_word(words, static_cast<int>(words.size()), AccumulatorBits);
    }
    return r;
  }

  MacHarness& harness_;
  Unit unit_;
  Signal<decltype(Unit::clk_i)> clk_;
  Signal<decltype(Unit::rst_ni)> rst_n_;
  Signal<decltype(Unit::in_valid_i)> in_valid_;
  Signal<decltype(Unit::in_ready_o)> in_ready_;
  Signal<decltype(Unit::in_first_i)> in_first_;
  Signal<decltype(Unit::in_last_i)> in_last_;
  Signal<decltype(Unit::a_scale_i)> a_scale_;
  Signal<decltype(Unit::w_scale_i)> w_scale_;
  Signal<decltype(Unit::a_codes_i)> a_codes_;
  Signal<decltype(Unit::w_codes_i)> w_codes_;
  Signal<decltype(Unit::out_valid_o)> out_valid_;
  Signal<decltype(Unit::out_ready_i)> out_ready_;
  Signal<decltype(Unit::out_fp32_o)> out_fp32_;
  Signal<decltype(Unit::out_flags_o)> out_flags_;
  Accumulator<AccumulatorBits> out_acc_;
  sc_core::sc_event burst_taken_;
  sc_core::sc_time half_period_{1.0, sc_core::SC_NS};
  int warmup_ = 2;
  bool high_next_ = false;
  std::size_t driven_ = static_cast<std::size_t>(-1);
};

/// Sends the stream in bursts.
class Initiator : public sc_core::sc_module {
 public:
  tlm_utils::simple_initiator_socket<Initiator> socket{"socket"};

  Initiator(sc_core::sc_module_name name, std::size_t beats)
      : sc_core::sc_module(name), beats_(beats) {
    SC_HAS_PROCESS(Initiator);
    SC_THREAD(run);
  }

 private:
  void run() {
    constexpr std::size_t burst_length = 4096;
    for (std::size_t at = 0; at < beats_; at += burst_length) {
      tlm::tlm_generic_payload burst;
      sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
      burst.set_write();
      burst.set_address(at);
      burst.set_data_length(static_cast<unsigned>(std::min(burst_length, beats_ - at)));
      socket->b_transport(burst, delay);
    }
  }

  std::size_t beats_;
};

}  // namespace systemc

template <typename Unit, int AccumulatorBits>
MacRunStats run_systemc(const BeatStream& stream, std::span<const MacResult> expected,
                        const MacRunOptions& options) {
  return run_in_child([&] {
    MacHarness harness(stream, expected, options);
    harness.limit = 0;
    // Modules take their thread's context, which a C++ run before this one has left dangling.
    VerilatedContext context;
    Verilated::threadContextp(&context);
    systemc::Transactor<Unit, AccumulatorBits> transactor("transactor", harness);
    systemc::Initiator initiator("initiator", stream.size());
    initiator.socket.bind(transactor.socket);
    sc_core::sc_trace_file* trace = nullptr;
    // SystemC appends the extension.
    if (!options.vcd.empty()) {
      trace = sc_core::sc_create_vcd_trace_file(
          options.vcd.substr(0, options.vcd.rfind(".vcd")).c_str());
      transactor.trace(trace);
    }
    const double start = processor_seconds();
    sc_core::sc_start();
    harness.stats().seconds = processor_seconds() - start;
    if (trace != nullptr) sc_core::sc_close_vcd_trace_file(trace);
    return harness.stats();
  });
}

}  // namespace lowbit::sim
