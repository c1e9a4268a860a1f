// SPDX-License-Identifier: MIT
#include "units.hpp"

using namespace lowbit;
using namespace lowbit::sim;

TEST_CASE("SystemC modules behind the TLM transactor give the same results as the C++ models") {
  for (const MacShape& shape : compiled(MacBackend::systemc)) {
    const BeatStream stream = random_stream(shape, 20000, 5);
    const MacRunStats plain = check_unit(stream, {}, MacBackend::systemc);
    const MacRunStats other = check_unit(stream);
    CHECK(plain.outputs == other.outputs);
    CHECK(plain.beats == other.beats);
    const MacRunOptions busy{.input_stall = 0.3, .output_stall = 0.9, .reset = 0.002, .seed = 4};
    const MacRunStats a = check_unit(stream, busy, MacBackend::systemc);
    check_unit(stream, busy);
    CHECK(a.resets > 10);
  }
}

TEST_CASE("the scoreboard behind the transactor notices a wrong result") {
  for (const MacShape& shape : compiled(MacBackend::systemc)) {
    const BeatStream stream = random_stream(shape, 300, 5);
    std::vector<MacResult> expected = mac_model(stream);
    expected[2].fp32 ^= 0x80000000;
    const MacRunStats stats = run_mac(stream, expected, {}, MacBackend::systemc);
    CHECK(stats.mismatches == 1);
    CHECK_THAT(stats.first_mismatch, Catch::Matchers::Contains("segment 2:"));
  }
}
