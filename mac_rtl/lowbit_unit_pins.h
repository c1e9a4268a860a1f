// SPDX-License-Identifier: MIT
// A MAC unit compiled on demand, as `lowbit mac run` loads it: its pins and three functions with C
// linkage. mac_rtl/lowbit_unit.cpp defines the functions over Verilator's class.
#pragma once

#include <stdint.h>

struct LowbitUnitPins {
  // Inputs. Words of codes and scales: element or byte 0 in the low bits.
  uint8_t clk_i, rst_ni, in_valid_i, in_first_i, in_last_i, out_ready_i;
  uint64_t a_scale_i, w_scale_i;
  const uint64_t *a_codes_i, *w_codes_i;
  // Outputs, as of the last evaluation. out_acc_o is 0 where the unit has no accumulator.
  uint8_t in_ready_o, out_valid_o, out_flags_o;
  uint32_t out_fp32_o;
  uint32_t out_acc_o[4];
};

#define LOWBIT_UNIT_EXPORT __attribute__((visibility("default")))

extern "C" {
/// A unit in reset; wave: path of a waveform, or null (the build decides VCD or FST).
LOWBIT_UNIT_EXPORT void* lowbit_unit_open(const char* wave);
/// Inputs in, one evaluation, outputs out; one step of the waveform.
LOWBIT_UNIT_EXPORT void lowbit_unit_eval(void* unit, struct LowbitUnitPins* pins);
/// Ends the waveform and frees the unit.
LOWBIT_UNIT_EXPORT void lowbit_unit_close(void* unit);
}
