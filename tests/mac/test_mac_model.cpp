// SPDX-License-Identifier: MIT
// The bit models against independent evidence: golden results, exact.hpp, and themselves.
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/mac_accuracy.hpp"
#include "units.hpp"

using namespace lowbit;
using namespace lowbit::sim;

namespace {

MacVectors golden_vectors(const char* format, const char* set, MacUnit unit) {
  return read_mac_vectors(golden(std::string(format) + "_mac_" + set + ".json"),
                          {unit, &format_of(format), 16});
}

}  // namespace

TEST_CASE("published model: every golden result, bit for bit") {
  for (const char* format : {"if4", "nvfp4"}) {
    for (const char* set : {"public", "more"}) {
      const MacVectors v = golden_vectors(format, set, MacUnit::published);
      REQUIRE(v.expected.size() == (std::string(set) == "public" ? 3U : 120U));
      const std::vector<MacResult> results = mac_model(v.stream);
      REQUIRE(results.size() == v.expected.size());
      for (std::size_t i = 0; i < results.size(); ++i) {
        INFO(format << " " << set << " segment " << i);
        CHECK(results[i].fp32 == v.expected[i]);
      }
    }
  }
}

TEST_CASE("exact model equals exact.hpp on every format, MX formats where nothing is flagged") {
  for (const BlockFormat& format : block_formats()) {
    if (!supports(MacUnit::exact, format)) continue;
    const MacShape shape{MacUnit::exact, &format, 16};
    const BeatStream s = random_stream(shape, 4000, 7);
    const std::vector<MacResult> results = mac_model(s);
    ExactAccumulator sum(format, format, NanScale::largest);
    const int places = mac_unit_scale(MacUnit::exact, format).accumulator_exponent -
                       exact_unit(format, format).exponent;
    std::size_t next = 0;
    std::size_t compared = 0;
    std::vector<std::uint8_t> a(16), w(16);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      if (s.first(i)) sum.clear();
      const auto lanes = static_cast<std::size_t>(shape.lanes_used());
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        a[lane] = static_cast<std::uint8_t>(s.a_code(i, static_cast<int>(lane)));
        w[lane] = static_cast<std::uint8_t>(s.w_code(i, static_cast<int>(lane)));
      }
      sum.add_block(static_cast<std::uint8_t>(s.a_scale(i)), std::span(a).first(lanes),
                    static_cast<std::uint8_t>(s.w_scale(i)), std::span(w).first(lanes));
      if (!s.last(i)) continue;
      const MacResult& result = results[next++];
      // A block outside the window, and NaN, are the unit's own.
      if (format.family() == ScaleFamily::mx && result.flags != 0) continue;
      ++compared;
      ExactValue value = sum.value();
      WideInteger acc;
      acc.add_shifted(result.acc, places);
      wrong += value.integer == acc ? 0 : 1;
      // FP32 of the unit leaves the denominator to the tensor scale.
      value.denominator = 1;
      wrong += round_exact(value, f32) == result.fp32 ? 0 : 1;
    }
    INFO(format.name);
    CHECK(next == results.size());
    CHECK(compared > results.size() / 4);
    CHECK(wrong == 0);
  }
}

TEST_CASE("published results lie within ulps of the exact value") {
  // 16 lanes of rounded sums: the published unit is not exact. The known distances of its public
  // vectors are +1, 0, +1 (IF4) and 0, -1, 0 (NVFP4) ulps.
  for (const char* format : {"if4", "nvfp4"}) {
    const MacVectors v = golden_vectors(format, "public", MacUnit::exact);
    const std::vector<MacResult> exact = mac_model(v.stream);
    const double denominator = mac_unit_scale(MacUnit::exact, format_of(format)).denominator;
    std::vector<std::int64_t> distance;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double value = std::ldexp(static_cast<double>(exact[i].acc), -20) / denominator;
      // In magnitude: the difference of the words.
      distance.push_back(std::int64_t{std::bit_cast<std::uint32_t>(static_cast<float>(value))} -
                         v.expected[i]);
    }
    const std::vector<std::int64_t> known = std::string(format) == "if4"
                                                ? std::vector<std::int64_t>{1, 0, 1}
                                                : std::vector<std::int64_t>{0, -1, 0};
    CHECK(distance == known);
  }
}

TEST_CASE("vectors survive both file forms") {
  const std::filesystem::path dir = std::filesystem::temp_directory_path();
  for (const MacShape& shape : {MacShape{MacUnit::published, &format_of("if4"), 16},
                                MacShape{MacUnit::exact, &format_of("if6_e2m3"), 8},
                                MacShape{MacUnit::exact, &format_of("if3"), 16},
                                MacShape{MacUnit::gst, &format_of("nvfp4"), 64}}) {
    MacVectors v{random_stream(shape, 200, 3), {}};
    for (const MacResult& r : mac_model(v.stream)) v.expected.push_back(r.fp32);
    const auto same = [&](const MacVectors& other) {
      REQUIRE(other.stream.size() == v.stream.size());
      CHECK(other.expected == v.expected);
      for (std::size_t i = 0; i < v.stream.size(); ++i) {
        REQUIRE(other.stream.first(i) == v.stream.first(i));
        REQUIRE(other.stream.last(i) == v.stream.last(i));
        REQUIRE(other.stream.a_scale(i) == v.stream.a_scale(i));
        REQUIRE(other.stream.w_scale(i) == v.stream.w_scale(i));
        for (int lane = 0; lane < shape.lanes; ++lane) {
          REQUIRE(other.stream.a_code(i, lane) == v.stream.a_code(i, lane));
          REQUIRE(other.stream.w_code(i, lane) == v.stream.w_code(i, lane));
        }
      }
    };
    write_mac_vectors(dir / "lowbit_vectors.json", v);
    same(read_mac_vectors(dir / "lowbit_vectors.json", shape));
    write_readmemh(dir / "lowbit_vectors", v);
    same(read_readmemh(dir / "lowbit_vectors", shape));
  }
}

namespace {

/// Codes and scale bytes as given, 16 columns a block.
BlockTensor raw_tensor(const BlockFormat& format, const std::vector<std::uint8_t>& scales,
                       std::uint8_t code) {
  QuantizeOptions options;
  options.format = &format;
  BlockTensor t =
      quantize(std::vector<float>(16 * scales.size(), 1.0F), 1, 16 * scales.size(), options);
  t.scales.assign(scales.begin(), scales.end());
  t.values.assign(t.values.size(), 0);
  for (std::size_t b = 0; b < scales.size(); ++b) t.values[b * 8] = code;
  return t;
}

}  // namespace

TEST_CASE("accumulator error: a swallowed addend is the whole error, exact loses nothing") {
  // 4 * 4 under scales 256 * 256 is 2^20; 4 * 4 under 2^-9 * 2^-9 is 2^-14, below half an ulp.
  const BlockFormat& format = format_of("nvfp4");
  const BlockTensor t = raw_tensor(format, {0x78, 0x01}, 0x06);
  for (const MacUnit unit : {MacUnit::published, MacUnit::block_fp32}) {
    const AccumulatorError error = accumulator_error({unit, &format, 16}, t, t, 9);
    CHECK(error.outputs == 1);
    CHECK(error.inexact == 1);
    CHECK(error.relative_rmse == Approx(0x1p-34).epsilon(1e-6));
  }
  const AccumulatorError error = accumulator_error({MacUnit::exact, &format, 16}, t, t, 9);
  CHECK(error.outputs == 1);
  CHECK(error.inexact == 0);
  CHECK(error.relative_rmse == 0);
}

TEST_CASE("accumulator error of ordinary tensors: some in FP32, none in the exact unit") {
  std::vector<float> x(8 * 128);
  std::uint32_t state = 1;
  for (float& v : x) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F;
  }
  for (const char* name : {"if4", "if3", "nvfp4", "mxfp4"}) {
    QuantizeOptions options;
    options.format = &format_of(name);
    const BlockTensor t = quantize(x, 8, 128, options);
    for (const MacUnit unit : {MacUnit::exact, MacUnit::block_fp32, MacUnit::published}) {
      const MacShape shape{unit, options.format, 16};
      if (!supports(unit, *options.format)) continue;
      const AccumulatorError error = accumulator_error(shape, t, t, 4);
      INFO(name << " " << name_of(unit));
      CHECK(error.outputs == 32);
      if (unit == MacUnit::exact) CHECK(error.inexact == 0);
      CHECK(error.relative_rmse < 1e-6);
      // Six sevenths have no binary fraction; sums of NVFP4's products fit FP32 here.
      if (unit == MacUnit::published && options.format->is_adaptive())
        CHECK(error.relative_rmse > 1e-9);
    }
  }
}

TEST_CASE("bad vectors are refused with the place") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "lowbit_bad_vectors.json";
  const MacShape shape{MacUnit::published, &format_of("if4"), 16};
  const auto refused = [&](const std::string& text, const std::string& says) {
    std::ofstream(path) << text;
    INFO(text);
    try {
      (void)read_mac_vectors(path, shape);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::invalid_input);
      CHECK_THAT(error.what(), Catch::Matchers::Contains(says));
    }
  };
  const std::string beat =
      R"({"first":1,"a_sf":1,"w_sf":2,"a":"0123456789ABCDEF","w":"0123456789ABCDEF"})";
  const auto file = [](const std::string& lanes, const std::string& beats,
                       const std::string& expected) {
    return R"({"lanes":)" + lanes + R"(,"beats":[)" + beats + R"(],"expected_acc_fp32_hex":[)" +
           expected + "]}";
  };
  refused("", "not a JSON object");
  refused("[]", "not a JSON object");
  refused(R"({"lanes":16})", "lacks \"beats\"");
  refused(file("16", beat, ""), "nothing would be checked");
  refused(file("16", beat + "," + beat + "," + beat, "\"00000000\""), "beat 2: more segments");
  refused(file("3", beat, "\"00000000\""), "power of two");
  refused(file("16", beat, "\"0000000g\""), "expected result 0");
  refused(file("16", beat, "\"00000000\",\"00000000\""), "1 segments and 2 expected");
  refused(
      file("16", R"({"first":1,"a_sf":256,"w_sf":2,"a":"0123456789ABCDEF","w":"0123456789ABCDEF"})",
           "\"0\""),
      "beat 0");
  refused(
      file("16", R"({"first":1,"a_sf":1,"w_sf":2,"a":"0123456789ABCDE","w":"0123456789ABCDEF"})",
           "\"0\""),
      "16 hexadecimal digits");
  refused(file("16", beat + R"(,{"first":2})", "\"0\",\"0\""), "beat");
}
