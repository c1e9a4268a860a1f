// SPDX-License-Identifier: MIT
// Units compiled at run time, loaded and driven through lowbit_unit_pins.h.
#include <dlfcn.h>
#include <fmt/format.h>

#include <fstream>
#include <memory>

#include "lowbit/error.hpp"
#include "lowbit_unit_pins.h"
#include "mac/compile.hpp"
#include "mac/pin_loop.hpp"
#include "mac/pins.hpp"

namespace lowbit::sim {
namespace {

class LoadedPins {
 public:
  LoadedPins(const std::filesystem::path& library, const std::string& wave, const MacShape& shape)
      : library_(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL), &dlclose),
        accumulator_(shape.has_accumulator() ? accumulator_bits(shape) : 0) {
    if (library_ == nullptr) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: cannot be loaded ({}); remove it, it is compiled again",
                              library.string(), dlerror()));
    }
    eval_ = function<decltype(&lowbit_unit_eval)>("lowbit_unit_eval");
    close_ = function<decltype(&lowbit_unit_close)>("lowbit_unit_close");
    unit_ = function<decltype(&lowbit_unit_open)>("lowbit_unit_open")(wave.empty() ? nullptr
                                                                                   : wave.c_str());
  }
  ~LoadedPins() { close_(unit_); }
  LoadedPins(const LoadedPins&) = delete;
  LoadedPins& operator=(const LoadedPins&) = delete;

  void reset(bool active) { pins_.rst_ni = active ? 0 : 1; }
  void valid(bool value) { pins_.in_valid_i = value ? 1 : 0; }
  void ready(bool value) { pins_.out_ready_i = value ? 1 : 0; }
  void beat(const BeatStream& stream, std::size_t at) {
    pins_.in_first_i = stream.first(at) ? 1 : 0;
    pins_.in_last_i = stream.last(at) ? 1 : 0;
    pins_.a_scale_i = stream.a_scale(at);
    pins_.w_scale_i = stream.w_scale(at);
    pins_.a_codes_i = stream.a_codes(at);
    pins_.w_codes_i = stream.w_codes(at);
  }
  void low() { step(0); }
  void high() { step(1); }
  [[nodiscard]] bool in_ready() const { return pins_.in_ready_o != 0; }
  [[nodiscard]] bool out_valid() const { return pins_.out_valid_o != 0; }
  [[nodiscard]] MacResult result() const {
    MacResult r;
    r.fp32 = pins_.out_fp32_o;
    r.flags = pins_.out_flags_o;
    if (accumulator_ > 0)
      r.acc = signed_word(pins_.out_acc_o, (accumulator_ + 31) / 32, accumulator_);
    return r;
  }

 private:
  template <typename Function>
  Function function(const char* name) {
    void* found = dlsym(library_.get(), name);
    if (found == nullptr) throw Error(ErrorKind::internal, std::string("no function ") + name);
    return reinterpret_cast<Function>(found);
  }
  void step(std::uint8_t clock) {
    pins_.clk_i = clock;
    eval_(unit_, &pins_);
  }

  std::unique_ptr<void, int (*)(void*)> library_;
  int accumulator_;
  decltype(&lowbit_unit_eval) eval_ = nullptr;
  decltype(&lowbit_unit_close) close_ = nullptr;
  void* unit_ = nullptr;
  LowbitUnitPins pins_{};
};

}  // namespace

bool mac_compiled_in(const MacShape& shape, MacBackend backend) {
  if (shape.pipeline || (shape.accumulator_width != 0 &&
                         shape.accumulator_width != accumulator_bits({shape.unit, shape.format})))
    return false;
  for (const MacVariant& v : mac_variants()) {
    if (v.backend == backend && v.unit == shape.unit && v.format == shape.format->name &&
        v.lanes == shape.lanes)
      return true;
  }
  return false;
}

MacRunStats run_mac_compiled(const BeatStream& stream, std::span<const MacResult> expected,
                             const MacRunOptions& options, const MacCompiler& compiler) {
  if (!options.vcd.empty() && !options.fst.empty())
    throw Error(ErrorKind::usage, "a VCD and an FST waveform of one run: give one of them");
  const std::string& wave = options.vcd.empty() ? options.fst : options.vcd;
  if (!wave.empty() && !std::ofstream(wave))
    throw Error(ErrorKind::invalid_input,
                wave + ": cannot be written; check the folder and its rights");
  const MacTrace trace = wave.empty()          ? MacTrace::none
                         : options.fst.empty() ? MacTrace::vcd
                                               : MacTrace::fst;
  const std::filesystem::path library = compiled_unit(stream.shape(), trace, compiler);
  MacRunStats stats;
  {
    LoadedPins pins(library, wave, stream.shape());
    stats = run_pins(pins, stream, expected, options);
  }
  if (trace == MacTrace::fst) write_wave_view(wave + ".gtkw", wave, stream.shape());
  return stats;
}

}  // namespace lowbit::sim
