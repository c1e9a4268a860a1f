// SPDX-License-Identifier: MIT
#include "units.hpp"

using namespace lowbit;
using namespace lowbit::sim;

TEST_CASE("published unit and its model: every golden result, bit for bit") {
  for (const char* format : {"if4", "nvfp4"}) {
    for (const char* set : {"public", "more"}) {
      const MacShape shape{MacUnit::published, &format_of(format), 16};
      const MacVectors v = read_mac_vectors(golden(std::string(format) + "_mac_" + set + ".json"), shape);
      INFO(format << " " << set);
      REQUIRE(v.expected.size() == (std::string(set) == "public" ? 3U : 120U));
      std::vector<MacResult> expected = mac_model(v.stream);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        INFO("segment " << i);
        CHECK(expected[i].fp32 == v.expected[i]);
      }
      for (const double stall : {0.0, 0.5}) {
        const MacRunStats stats = run_mac(v.stream, expected, {.input_stall = stall, .output_stall = stall});
        INFO(stats.first_mismatch);
        CHECK(stats.mismatches == 0);
        CHECK(stats.outputs == expected.size());
      }
    }
  }
}

TEST_CASE("every compiled unit answers as its model, without and with stalls and resets") {
  for (const MacShape& shape : compiled()) {
    const BeatStream stream = random_stream(shape, 20000, 1);
    check_unit(stream);
    const MacRunStats stalled = check_unit(stream, {.input_stall = 0.3, .output_stall = 0.97, .seed = 2});
    CHECK(stalled.refused > 0);
    const MacRunStats reset =
        check_unit(stream, {.input_stall = 0.2, .output_stall = 0.2, .reset = 0.01, .seed = 3});
    CHECK(reset.resets > 100);
  }
}

TEST_CASE("SystemC modules behind the TLM transactor give the same results as the C++ models") {
  for (const MacShape& shape : compiled(MacBackend::systemc)) {
    const BeatStream stream = random_stream(shape, 20000, 5);
    const MacRunStats plain = check_unit(stream, {}, MacBackend::systemc);
    const MacRunStats other = check_unit(stream);
    CHECK(plain.outputs == other.outputs);
    CHECK(plain.beats == other.beats);
    const MacRunOptions busy{.input_stall = 0.3, .output_stall = 0.9, .reset = 0.002, .seed = 4};
    const MacRunStats a = check_unit(stream, busy, MacBackend::systemc);
    const MacRunStats b = check_unit(stream, busy);
    CHECK(a.resets > 10);
    CHECK(a.outputs == b.outputs);
  }
}
