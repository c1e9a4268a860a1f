// SPDX-License-Identifier: MIT
// Units compiled on demand: parameters, waveforms, the cache, what is refused.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lowbit/error.hpp"
#include "lowbit/sim/mac_compiler.hpp"
#include "units.hpp"

using namespace lowbit;
using namespace lowbit::sim;
namespace fs = std::filesystem;

namespace {

/// One folder for all test cases: a unit is compiled once.
struct Folder {
  Folder() : path(fs::temp_directory_path() / "lowbit_test_mac_compile") {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

const Folder& folder() {
  static const Folder made;
  return made;
}

MacCompiler compiler() {
  return {fs::path(LOWBIT_MAC_RTL), folder().path / "units"};
}

std::size_t files_of(const fs::path& path, const std::string& extension) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(path))
    count += entry.path().extension() == extension;
  return count;
}

std::string refusal(const MacShape& shape) {
  try {
    check_mac_shape(shape);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a narrow accumulator, its wraps and flags, on a unit compiled on demand") {
  // The least width: every few beats of the largest products overflow.
  const MacShape shape{MacUnit::exact, &format_of("if4"), 8,
                       least_accumulator_bits(format_of("if4"), 8), true};
  CHECK(shape.accumulator_width == 21 + 4 + 28);
  std::uint64_t flagged = 0;
  for (std::size_t p = 0; p < mac_pattern_count; ++p) {
    const BeatStream stream = random_stream(shape, 4000, 3 + p, static_cast<MacPattern>(p));
    const auto expected = mac_model(stream);
    for (const MacResult& r : expected) flagged += r.flags >> 1;
    const MacRunStats stats =
        run_mac_compiled(stream, expected, {.input_stall = 0.1, .reset = 0.001}, compiler());
    INFO(name_of(static_cast<MacPattern>(p)) << ": " << stats.first_mismatch);
    CHECK(stats.mismatches == 0);
    CHECK(stats.outputs >= expected.size());
  }
  CHECK(flagged > 100);
  CHECK(files_of(compiler().cache, ".so") == 1);  // compiled once, then from the cache
  CHECK(files_of(compiler().cache, "") == 0);     // and nothing else left there
}

TEST_CASE("sums at the end of the accumulator's range, exact to the flag") {
  // One beat of value v fills half the range: sums go to its end, over it and back by single units.
  const BlockFormat& format = format_of("nvfp4");
  const MacShape shape{MacUnit::exact, &format, 8, least_accumulator_bits(format, 8), true};
  BeatStream stream(shape);
  for (int segment = 0; segment < 600; ++segment) {
    const int beats = 2 + segment % 90;
    for (int beat = 0; beat < beats; ++beat) {
      const bool small = beat % 3 == 2;
      const auto part = static_cast<unsigned>(segment);
      const unsigned byte = small ? 1U + part % 7 : 0x7EU - 8 * (part % 5);
      stream.push(beat == 0, beat + 1 == beats, byte, byte);
      for (int lane = 0; lane < 8; ++lane) {
        stream.set_a(lane, small ? (lane + segment) % 16U : 7U);
        stream.set_w(lane, beat > beats / 2 ? 15U : 7U);
      }
    }
  }
  const auto expected = mac_model(stream);
  std::size_t flagged = 0;
  for (const MacResult& r : expected) flagged += (r.flags & 2) != 0;
  CHECK(flagged > 50);
  CHECK(flagged < expected.size());
  const MacRunStats stats = run_mac_compiled(stream, expected, {}, compiler());
  INFO(stats.first_mismatch);
  CHECK(stats.mismatches == 0);
  // A model of one bit more is another unit.
  BeatStream wider({MacUnit::exact, &format, 8, shape.accumulator_width + 1, true});
  for (std::size_t i = 0; i < stream.size(); ++i) {
    wider.push(stream.first(i), stream.last(i), stream.a_scale(i), stream.w_scale(i));
    for (int lane = 0; lane < 8; ++lane) {
      wider.set_a(lane, stream.a_code(i, lane));
      wider.set_w(lane, stream.w_code(i, lane));
    }
  }
  CHECK(run_mac_compiled(stream, mac_model(wider), {}, compiler()).mismatches > 0);
}

TEST_CASE("an overflow by a carry that waits, and the last sum without one") {
  // 47 bits hold sums below 2^26 of NVFP4. 57,802,752 + 141 * 2^16 + 2^15 + ... + 2^3 = 2^26 - 2^3
  // fits; 2^3 more overflow it, and only by the carry from bit 23 of the register into its top
  // part.
  const BlockFormat& format = format_of("nvfp4");
  const MacShape shape{MacUnit::exact, &format, 8, least_accumulator_bits(format, 8), true};
  BeatStream stream(shape);
  const auto push = [&](bool first, bool last, unsigned a, unsigned w,
                        std::initializer_list<std::pair<unsigned, unsigned>> codes) {
    stream.push(first, last, a, w);
    int lane = 0;
    for (const auto& [x, y] : codes) {
      stream.set_a(lane, x);
      stream.set_w(lane++, y);
    }
  };
  for (const bool over : {false, true}) {
    push(true, false, 0x7E, 0x7E, {{7, 7}, {7, 7}, {7, 7}, {7, 7}, {7, 7}, {7, 7}, {7, 7}, {7, 7}});
    // 36 + 36 + 36 + 24 + 9 = 141, under scales of 2^8 each.
    push(false, false, 0x78, 0x78, {{7, 7}, {7, 7}, {7, 7}, {7, 6}, {5, 5}});
    for (unsigned place = 15; place >= 3; --place) {
      // 1 * 1 under 2^8 and 2^(place - 8).
      push(false, place == 3 && !over, 0x78, (place - 8 + 7) << 3, {{2, 2}});
    }
    if (over) push(false, true, 0x78, 2 << 3, {{2, 2}});
  }
  const auto expected = mac_model(stream);
  REQUIRE(expected.size() == 2);
  CHECK(expected[0].flags == 0);
  CHECK(expected[0].acc == (Int128{1} << 46) - (Int128{1} << 23));
  CHECK(expected[1].flags == 2);
  CHECK(expected[1].acc == -(Int128{1} << 46));
  const MacRunStats stats = run_mac_compiled(stream, expected, {}, compiler());
  INFO(stats.first_mismatch);
  CHECK(stats.mismatches == 0);
}

TEST_CASE("an FST waveform with its saved view") {
  const MacShape shape{MacUnit::published, &format_of("nvfp4"), 2};
  const BeatStream stream = random_stream(shape, 60, 8);
  const fs::path wave = folder().path / "wave.fst";
  const MacRunStats stats =
      run_mac_compiled(stream, mac_model(stream), {.fst = wave.string()}, compiler());
  CHECK(stats.mismatches == 0);
  CHECK(fs::file_size(wave) > 500);
  std::ifstream in(wave, std::ios::binary);
  CHECK(in.get() == 0);  // the first block of an FST file is its header, of type 0
  std::string view;
  std::getline(std::ifstream(wave.string() + ".gtkw"), view, '\0');
  for (const char* name :
       {"[dumpfile] \"", "wave.fst\"", "lowbit_mac_published.in_valid_i",
        "lowbit_mac_published.a_codes_i[7:0]", "lowbit_mac_published.out_fp32_o[31:0]"})
    CHECK_THAT(view, Catch::Matchers::Contains(name));
  CHECK_THROWS_AS(run_mac_compiled(stream, mac_model(stream), {.vcd = "a", .fst = "b"}, compiler()),
                  Error);
}

TEST_CASE("shapes that are no unit are refused with the bound") {
  const BlockFormat& if4 = format_of("if4");
  const int least = least_accumulator_bits(if4, 16);
  CHECK(least == 54);
  CHECK(refusal({MacUnit::exact, &if4, 16, least}).empty());
  CHECK_THAT(
      refusal({MacUnit::exact, &if4, 16, least - 1}),
      Catch::Matchers::Contains("53 bits: one beat of 16 lanes of if4 takes 54; give 54 to 120"));
  CHECK_THAT(refusal({MacUnit::exact, &if4, 16, 121}), Catch::Matchers::Contains("54 to 120"));
  CHECK_THAT(refusal({MacUnit::exact, &if4, 12}), Catch::Matchers::Contains("power of two"));
  CHECK_THAT(refusal({MacUnit::gst, &format_of("nvfp4"), 32}),
             Catch::Matchers::Contains("64 lanes"));
  CHECK_THAT(refusal({MacUnit::published, &if4, 16, 64}), Catch::Matchers::Contains("accumulator"));
  CHECK_THAT(refusal({MacUnit::block_fp32, &if4, 16, 0, true}),
             Catch::Matchers::Contains("pipeline"));
  CHECK_THAT(refusal({MacUnit::published, &format_of("mxfp4"), 16}),
             Catch::Matchers::Contains("no arithmetic"));
  CHECK_THAT(refusal({MacUnit::exact, &format_of("amdfp4"), 16}),
             Catch::Matchers::Contains("no arithmetic"));
  // Every default is within its bounds.
  for (const BlockFormat& f : block_formats()) {
    if (!supports(MacUnit::exact, f)) continue;
    for (const int lanes : {1, 16, 64})
      CHECK(refusal({MacUnit::exact, &f, lanes, accumulator_bits({MacUnit::exact, &f, lanes})})
                .empty());
  }
}

TEST_CASE("without Verilator, or with a compiler that fails, one line says so") {
  const MacShape shape{MacUnit::exact, &format_of("nvfp4"), 2};
  const BeatStream stream = random_stream(shape, 1, 1);
  const auto message = [&](const MacCompiler& with) -> std::string {
    try {
      (void)run_mac_compiled(stream, mac_model(stream), {}, with);
    } catch (const Error& error) {
      const std::string text = error.what();
      CHECK(text.find('\n') == std::string::npos);
      return text;
    }
    return {};
  };
  const std::string path = std::getenv("PATH");
  const fs::path tools = folder().path / "tools";
  fs::create_directories(tools);
  setenv("PATH", tools.c_str(), 1);
  CHECK_THAT(message(compiler()), Catch::Matchers::Contains("verilator not found"));
  setenv("PATH", path.c_str(), 1);
  setenv("CXX", "false", 1);
  CHECK_THAT(message(compiler()), Catch::Matchers::Contains("false fails"));
  unsetenv("CXX");
  CHECK_THAT(message({folder().path / "no_rtl", compiler().cache}),
             Catch::Matchers::Contains("lowbit_mac_exact.f"));
  CHECK_THAT(message({compiler().rtl, "/proc/no_such_folder"}),
             Catch::Matchers::Contains("--cache"));
  CHECK(files_of(compiler().cache, "") == 0);
}
