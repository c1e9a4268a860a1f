// SPDX-License-Identifier: MIT
// What `lowbit mac run` compiles beside Verilator's class Vlowbit_unit where a unit is not in its
// build. LOWBIT_TRACE: 0 none, 1 VCD, 2 FST; LOWBIT_ACC: words of out_acc_o, 0 where the unit has
// none.
#include "lowbit_unit_pins.h"

#include <verilated.h>
#if LOWBIT_TRACE == 2
#include <verilated_fst_c.h>
using Trace = VerilatedFstC;
#elif LOWBIT_TRACE == 1
#include <verilated_vcd_c.h>
using Trace = VerilatedVcdC;
#endif

namespace {

struct Unit {
  VerilatedContext context;
  Vlowbit_unit unit{&context, "unit"};
#if LOWBIT_TRACE
  Trace trace;
  uint64_t time = 0;
#endif
};

template <typename Port>
void drive(Port& port, const uint64_t* words) {
  if constexpr (requires { port.m_storage; }) {
    for (unsigned i = 0; i < sizeof(port.m_storage) / 4; ++i)
      port.m_storage[i] = static_cast<uint32_t>(words[i / 2] >> (32 * (i % 2)));
  } else {
    port = static_cast<Port>(*words);
  }
}

template <typename Port>
void sample(const Port& port, uint32_t* words) {
  if constexpr (requires { port.m_storage; }) {
    for (unsigned i = 0; i < sizeof(port.m_storage) / 4; ++i) words[i] = port.m_storage[i];
  } else {
    words[0] = static_cast<uint32_t>(port);
    words[1] = static_cast<uint32_t>(static_cast<uint64_t>(port) >> 32);
  }
}

}  // namespace

extern "C" void* lowbit_unit_open([[maybe_unused]] const char* wave) {
  auto* u = new Unit;
#if LOWBIT_TRACE
  if (wave != nullptr) {
    u->context.traceEverOn(true);
    u->unit.trace(&u->trace, 99);
    u->trace.open(wave);
  }
#endif
  return u;
}

extern "C" void lowbit_unit_eval(void* handle, LowbitUnitPins* pins) {
  auto* u = static_cast<Unit*>(handle);
  Vlowbit_unit& unit = u->unit;
  unit.clk_i = pins->clk_i;
  unit.rst_ni = pins->rst_ni;
  unit.in_valid_i = pins->in_valid_i;
  unit.in_first_i = pins->in_first_i;
  unit.in_last_i = pins->in_last_i;
  unit.out_ready_i = pins->out_ready_i;
  drive(unit.a_scale_i, &pins->a_scale_i);
  drive(unit.w_scale_i, &pins->w_scale_i);
  if (pins->a_codes_i != nullptr) drive(unit.a_codes_i, pins->a_codes_i);
  if (pins->w_codes_i != nullptr) drive(unit.w_codes_i, pins->w_codes_i);
  unit.eval();
#if LOWBIT_TRACE
  if (u->trace.isOpen()) u->trace.dump(u->time++);
#endif
  pins->in_ready_o = unit.in_ready_o;
  pins->out_valid_o = unit.out_valid_o;
  pins->out_flags_o = unit.out_flags_o;
  pins->out_fp32_o = unit.out_fp32_o;
#if LOWBIT_ACC
  sample(unit.out_acc_o, pins->out_acc_o);
#endif
}

extern "C" void lowbit_unit_close(void* handle) {
  auto* u = static_cast<Unit*>(handle);
  u->unit.final();
#if LOWBIT_TRACE
  if (u->trace.isOpen()) u->trace.close();
#endif
  delete u;
}
