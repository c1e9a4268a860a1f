// SPDX-License-Identifier: MIT
// The shipped part of the captured outputs of sixteen libraries against their dialects, and all of
// it where LOWBIT_GOLDEN_DIR names the whole set.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "catch.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/dialect_formats.hpp"
#include "lowbit/error.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;

namespace {

std::size_t compare_folder(const std::filesystem::path& folder) {
  std::size_t runs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors" || entry.path().stem() == "inputs") continue;
    compare_captures(entry.path(), [&](const CaptureResult& r) {
      ++runs;
      INFO(r.library << " " << r.configuration << " " << r.dialect << ": " << r.first);
      CHECK(r.blocks > 0);
      CHECK(r.unexplained == 0);
      CHECK(r.wrong_tensor_scales == 0);
      CHECK(r.wrong_dequantized == 0);
    });
  }
  return runs;
}

}  // namespace

TEST_CASE("the shipped captures have zeros alone, NaN and infinity") {
  const auto folder = std::filesystem::path(LOWBIT_TEST_DATA_DIR) / "captures_edges";
  CHECK(compare_folder(folder) > 120);
  const TensorFile inputs = TensorFile::open(folder / "inputs.safetensors");
  const auto holds = [&](const char* name, bool (*is)(float)) {
    const std::vector<float> x = to_f32(inputs.at(name));
    return std::any_of(x.begin(), x.end(), is);
  };
  CHECK_FALSE(holds("zeros_edges_04", [](float v) { return v != 0.0F; }));
  CHECK(holds("zeros_edges_04", [](float v) { return std::signbit(v); }));
  CHECK(holds("zeros_edges_06", [](float v) { return std::isnan(v); }));
  CHECK(holds("zeros_edges_07", [](float v) { return std::isinf(v); }));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors" || entry.path().stem() == "inputs") continue;
    INFO(entry.path().string());
    std::set<std::string> held;
    const TensorFile captures = TensorFile::open(entry.path());
    for (const TensorInfo& t : captures.tensors()) held.insert(t.name.substr(0, t.name.find('.')));
    // Some libraries refuse NaN and infinity, none refuses zeros.
    CHECK(held.contains("zeros_edges_04"));
  }
}

TEST_CASE("captured outputs equal their dialects") {
  CHECK(compare_folder(std::filesystem::path(LOWBIT_TEST_DATA_DIR) / "captures") > 120);
}

TEST_CASE("every configuration names dialects and formats that exist") {
  std::set<std::string_view> captured;
  for (const CaptureConfiguration& c : capture_configurations()) {
    INFO(c.file << " " << c.configuration);
    CHECK(find_block_format(c.format) != nullptr);
    for (const std::string_view name : {c.dialect, c.cuda_dialect}) {
      if (name.empty()) continue;
      INFO(name);
      const Dialect* const dialect = find_dialect(name);
      REQUIRE(dialect != nullptr);
      CHECK(is_valid_rule(*find_block_format(c.format), c.rule, dialect));
      captured.insert(dialect->name);
    }
  }
  // A record is `captured` where a capture is compared with it, fos_* by the golden set, alto by
  // test_amdfp4.
  for (const Dialect& d : dialects()) {
    INFO(d.name);
    const bool is_golden = d.library == "fouroversix" && d.name != "fos_cuda";
    CHECK((d.status == DialectStatus::captured) ==
          (captured.contains(d.name) || is_golden || d.name == "alto"));
  }
}

TEST_CASE("a record's formats exist, and the captured ones are among them") {
  for (const Dialect& d : dialects()) {
    INFO(d.name);
    std::string known;
    for (std::istringstream words{std::string(d.formats)}; words >> known;) {
      INFO(known);
      const std::size_t colon = known.find(':');
      const BlockFormat* const format = find_block_format(known.substr(0, colon));
      REQUIRE(format != nullptr);
      CHECK(has_format(d, *format));
      if (colon == known.npos) continue;
      for (std::istringstream rules{known.substr(colon + 1)}; std::getline(rules, known, ',');) {
        REQUIRE(find_scale_rule(known));
        CHECK(has_rule(d, *format, *find_scale_rule(known)));
      }
    }
    for (const CaptureConfiguration& c : capture_configurations()) {
      if (c.dialect != d.name && c.cuda_dialect != d.name) continue;
      INFO(c.configuration);
      CHECK(has_rule(d, *find_block_format(c.format), c.rule));
    }
  }
  CHECK(has_format(canonical, *find_block_format("mxint8")));
  const Dialect& torchao = *find_dialect("torchao");
  CHECK_FALSE(has_format(torchao, *find_block_format("nvfp4_bs8")));
  CHECK_FALSE(has_format(torchao, *find_block_format("if4")));
  CHECK_FALSE(has_format(*find_dialect("gfloat_mxfp4"), *find_block_format("nvfp4")));
  CHECK_FALSE(has_format(*find_dialect("mslk"), *find_block_format("mxfp4")));
  const BlockFormat& nvfp4 = *find_block_format("nvfp4");
  const BlockFormat& mxfp4 = *find_block_format("mxfp4");
  CHECK(has_rule(canonical, nvfp4, ScaleRule::abs_max));
  CHECK_FALSE(has_rule(canonical, nvfp4, ScaleRule::floor));
  CHECK(has_rule(fos_pytorch, mxfp4, ScaleRule::static_4));
  CHECK_FALSE(has_rule(fos_pytorch, mxfp4, ScaleRule::floor));  // its arithmetic has no such rule
  CHECK(has_rule(torchao, mxfp4, ScaleRule::ceil));
  CHECK_FALSE(has_rule(torchao, nvfp4, ScaleRule::mse));
  CHECK_FALSE(has_rule(*find_dialect("te_le_2.13"), nvfp4, ScaleRule::mse));
  CHECK(has_rule(*find_dialect("te_4over6"), nvfp4, ScaleRule::mse));
  CHECK_FALSE(has_rule(*find_dialect("te_4over6"), nvfp4, ScaleRule::abs_max));
}

TEST_CASE("names and aliases of dialects are unique") {
  std::set<std::string_view> names;
  for (const Dialect& d : dialects()) {
    INFO(d.name);
    CHECK(names.insert(d.name).second);
    if (!d.alias.empty()) CHECK(names.insert(d.alias).second);
    CHECK_FALSE(d.library.empty());
    CHECK_FALSE(d.versions.empty());
    CHECK_FALSE(d.source.empty());
    CHECK_FALSE(d.summary.empty());
  }
}

TEST_CASE("a capture without its inputs is refused") {
  const auto folder = std::filesystem::temp_directory_path() / "lowbit_test_captures";
  std::filesystem::create_directories(folder);
  const auto copy = folder / "torchao.safetensors";
  std::filesystem::copy_file(
      std::filesystem::path(LOWBIT_TEST_DATA_DIR) / "captures" / "torchao.safetensors", copy,
      std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_AS(compare_captures(copy, [](const CaptureResult&) {}), Error);
  std::filesystem::remove_all(folder);
}
