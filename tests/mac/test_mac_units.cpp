// SPDX-License-Identifier: MIT
// Every compiled unit against its bit model. scripts/mac_mutations.sh runs these test cases on
// units with planted bugs; docs/mac.md says which case catches which.
#include <cstdio>
#include <filesystem>

#include "lowbit/error.hpp"
#include "units.hpp"

using namespace lowbit;
using namespace lowbit::sim;

TEST_CASE("golden vectors of the published unit, bit for bit") {
  for (const MacShape& shape : compiled()) {
    if (shape.unit != MacUnit::published || shape.lanes != 16) continue;
    for (const char* set : {"public", "more"}) {
      const MacVectors v = read_mac_vectors(
          golden(std::string(shape.format->name) + "_mac_" + set + ".json"), shape);
      REQUIRE(v.expected.size() == (std::string(set) == "public" ? 3U : 120U));
      std::vector<MacResult> expected = mac_model(v.stream);
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i].fp32 = v.expected[i];
      for (const double stall : {0.0, 0.5}) {
        const MacRunStats stats =
            run_mac(v.stream, expected, {.input_stall = stall, .output_stall = stall});
        INFO(text_of(shape) << " " << set << ": " << stats.first_mismatch);
        CHECK(stats.mismatches == 0);
        CHECK(stats.outputs == expected.size());
      }
    }
  }
}

TEST_CASE("every lane product, on every lane, under both flags") {
  for (const MacShape& shape : compiled()) check_unit(every_lane_product(shape));
}

TEST_CASE("every pair of scale bytes, both flags among them") {
  for (const MacShape& shape : compiled()) {
    const unsigned largest = shape.format->element->max_code();
    check_unit(every_scale_pair(shape, largest, largest));
    check_unit(every_scale_pair(shape, 1, largest | shape.format->element->sign_mask()));
  }
}

TEST_CASE("random and directed beats") {
  // 10^6 beats over the patterns and units together.
  const std::size_t beats = 1000000 / (compiled().size() * mac_pattern_count) + 1;
  for (const MacShape& shape : compiled()) {
    for (std::size_t p = 0; p < mac_pattern_count; ++p) {
      INFO(name_of(static_cast<MacPattern>(p)));
      check_unit(random_stream(shape, beats, 11 + p, static_cast<MacPattern>(p)));
    }
  }
}

TEST_CASE("groups that cancel under large scales") {
  for (const MacShape& shape : compiled()) check_unit(cancelled_groups(shape, 5000, 12));
}

TEST_CASE("blocks of more bits than FP32 has") {
  for (const MacShape& shape : compiled()) check_unit(longest_blocks(shape, 5000, 13));
}

TEST_CASE("stalls on both sides lose, repeat and reorder nothing") {
  for (const MacShape& shape : compiled()) {
    const BeatStream stream = random_stream(shape, 20000, 1);
    check_unit(stream, {.input_stall = 0.5, .output_stall = 0.0, .seed = 1});
    const MacRunStats stalled =
        check_unit(stream, {.input_stall = 0.3, .output_stall = 0.97, .seed = 2});
    CHECK(stalled.refused > 1000);
    // One-beat segments fill the result FIFO soonest.
    const MacRunStats full =
        check_unit(every_lane_product(shape), {.output_stall = 0.8, .seed = 3});
    CHECK(full.refused > full.beats / 4);
  }
}

TEST_CASE("reset in mid-segment leaves nothing behind") {
  for (const MacShape& shape : compiled()) {
    const BeatStream stream = random_stream(shape, 20000, 2);
    const MacRunStats stats =
        check_unit(stream, {.input_stall = 0.2, .output_stall = 0.2, .reset = 0.02, .seed = 3});
    CHECK(stats.resets > 200);
  }
}

TEST_CASE("a segment starts after reset and after last, with or without first; first discards") {
  for (const MacShape& shape : compiled()) {
    const BeatStream whole = random_stream(shape, 3000, 4);
    BeatStream stream(shape);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      // Every other segment begins without `first`; now and then one is begun anew.
      const bool first = whole.first(i) ? stream.segments() % 2 == 0 : i % 17 == 0;
      stream.push(first, whole.last(i), whole.a_scale(i), whole.w_scale(i));
      for (int lane = 0; lane < shape.lanes; ++lane) {
        stream.set_a(lane, whole.a_code(i, lane));
        stream.set_w(lane, whole.w_code(i, lane));
      }
    }
    check_unit(stream);
    check_unit(stream, {.input_stall = 0.2, .output_stall = 0.5, .reset = 0.05, .seed = 9});
  }
}

TEST_CASE("one beat a cycle, one result a cycle for one-beat segments") {
  for (const MacShape& shape : compiled()) {
    const BeatStream stream = every_scale_pair(shape, 1, 1, 0x30, 0x40);
    const MacRunStats stats = check_unit(stream);
    CHECK(stats.refused == 0);
    // Latency and the look for surplus results at the end are all that is not a beat.
    CHECK(stats.cycles < stats.beats + 100);
  }
}

TEST_CASE("the order of blocks does not change an exact result") {
  for (const MacShape& shape : compiled()) {
    if (shape.unit != MacUnit::exact) continue;
    const BeatStream stream = random_stream(shape, 5000, 6);
    BeatStream turned(shape);
    for (std::size_t start = 0; start < stream.size();) {
      std::size_t end = start;
      while (!stream.last(end)) ++end;
      for (std::size_t i = end + 1; i-- > start;) {
        turned.push(i == end, i == start, stream.a_scale(i), stream.w_scale(i));
        for (int lane = 0; lane < shape.lanes; ++lane) {
          turned.set_a(lane, stream.a_code(i, lane));
          turned.set_w(lane, stream.w_code(i, lane));
        }
      }
      start = end + 1;
    }
    // The expected results are those of the original order.
    const MacRunStats stats = run_mac(turned, mac_model(stream));
    INFO(text_of(shape) << ": " << stats.first_mismatch);
    CHECK(stats.mismatches == 0);
  }
}

TEST_CASE("the driver notices wrong, missing and surplus results") {
  // What the other test cases rest on.
  const MacShape shape = compiled().front();
  const BeatStream stream = random_stream(shape, 500, 8);
  std::vector<MacResult> expected = mac_model(stream);
  expected[3].fp32 ^= 1;
  expected[7].flags ^= 1;
  CHECK(run_mac(stream, expected).mismatches == 2);
  CHECK_THAT(run_mac(stream, expected).first_mismatch, Catch::Matchers::Contains("segment 3:"));
  BeatStream longer = stream;
  longer.push(true, true, 0, 0);
  CHECK_THROWS_AS(run_mac(longer, mac_model(stream)), Error);
  CHECK_THROWS_AS(run_mac(stream, mac_model(stream), {.output_stall = 1.0}), Error);
}

TEST_CASE("a waveform is written where asked for") {
  const std::string path =
      (std::filesystem::temp_directory_path() / "lowbit_test_mac.vcd").string();
  const MacShape shape = compiled().front();
  check_unit(random_stream(shape, 50, 8), {.vcd = path});
  CHECK(std::filesystem::file_size(path) > 1000);
  std::filesystem::remove(path);
}

TEST_CASE("a unit that is not compiled in is named with those that are") {
  const MacShape shape{MacUnit::exact, &format_of("nvfp3_bs8"), 2};
  const BeatStream stream = random_stream(shape, 1, 1);
  try {
    (void)run_mac(stream, mac_model(stream));
    FAIL("ran");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unavailable);
    CHECK_THAT(error.what(), Catch::Matchers::Contains("exact/nvfp3_bs8/2"));
    CHECK_THAT(error.what(), Catch::Matchers::Contains("-DLOWBIT_MAC_UNITS=\"exact:nvfp3_bs8:2\""));
  }
}
