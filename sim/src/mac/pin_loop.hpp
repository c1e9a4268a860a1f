// SPDX-License-Identifier: MIT
// The loop that runs a unit through its pins, for units compiled into the library and units loaded
// at run time alike.
#pragma once

#include "mac/harness.hpp"

namespace lowbit::sim {

/// \tparam Pins  reset(bool active), valid(bool), ready(bool), beat(stream, index), low(), high(),
///               in_ready(), out_valid(), result()
template <typename Pins>
MacRunStats run_pins(Pins& pins, const BeatStream& stream, std::span<const MacResult> expected,
                     const MacRunOptions& options) {
  MacHarness harness(stream, expected, options);
  pins.reset(true);
  pins.valid(false);
  pins.ready(false);
  for (int i = 0; i < 2; ++i) pins.low(), pins.high();
  pins.reset(false);

  std::size_t driven = stream.size();
  const double start = processor_seconds();
  while (!harness.finished()) {
    harness.choose();
    pins.valid(harness.in_valid);
    if (harness.in_valid && harness.beat != driven) {
      driven = harness.beat;
      pins.beat(stream, driven);
    }
    pins.ready(harness.out_ready);
    pins.reset(harness.reset);
    // The inputs change in the falling edge; what the rising one sees is sampled before it.
    pins.low();
    harness.edge(pins.in_ready(), pins.out_valid(), [&] { return pins.result(); });
    pins.high();
  }
  harness.stats().seconds = processor_seconds() - start;
  return harness.stats();
}

}  // namespace lowbit::sim
