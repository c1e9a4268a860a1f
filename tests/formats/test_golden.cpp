// SPDX-License-Identifier: MIT
// The captured outputs of fouroversix: every code, scale byte, amax and dequantized value of the
// bands of rows in tests/data/golden, and of the whole captures where LOWBIT_GOLDEN_DIR names them.
#include <cstdlib>
#include <set>

#include "capture/golden_file.hpp"
#include "catch.hpp"
#include "formats/vector_runs.hpp"

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Every instruction set that this machine has, and the scalar engine.
std::vector<lowbit::detail::VectorTarget> all_engines() {
  std::vector<lowbit::detail::VectorTarget> all = lowbit::detail::vector_targets();
  all.push_back({lowbit::detail::no_vector_target, "scalar engine"});
  return all;
}

/// By each engine. \return how many configurations the files hold
std::size_t check_files(const std::vector<std::filesystem::path>& files) {
  std::size_t configurations = 0;
  for (const auto& path : files) {
    const golden::File file(path);
    for (const golden::Configuration& c : file.configurations()) {
      const lowbit::Dialect* dialect = golden::dialect_of(c.backend);
      INFO(path.filename().string() << " " << c.prefix << " by " << c.backend);
      REQUIRE(dialect != nullptr);
      for (const lowbit::detail::VectorTarget& target : all_engines()) {
        const lowbit::cases::Forced forced(target);
        INFO(target.name);
        const golden::Comparison r = file.compare(c, *dialect);
        CHECK(r.different_blocks == 0);
        CHECK_FALSE(r.amax_differs);
        CHECK_FALSE(r.dequantization_differs);
      }
      ++configurations;
    }
  }
  return configurations;
}

}  // namespace

TEST_CASE("SHA-256 of the standard's example") {
  const std::string text = "abc";
  const auto digest = golden::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), 3});
  CHECK(digest[0] == 0xba);
  CHECK(digest[1] == 0x78);
  CHECK(digest[31] == 0xad);
}

TEST_CASE("the shipped bands of the captures") {
  CHECK(check_files(files_in(std::filesystem::path(LOWBIT_TEST_DATA_DIR) / "golden")) > 300);
}

TEST_CASE("the whole captures") {
  const char* folder = std::getenv("LOWBIT_GOLDEN_DIR");
  if (folder == nullptr) {
    WARN("LOWBIT_GOLDEN_DIR is not set: only the shipped bands were checked");
    return;
  }
  CHECK(check_files(files_in(std::filesystem::path(folder) / "fouroversix")) > 400);
}

TEST_CASE("the captures tell the dialects apart") {
  // A dialect taken for another one must show somewhere in the bands, or the test above is weak.
  std::set<std::string_view> right_names;
  std::set<std::pair<std::string, std::string>> distinguished;
  for (const auto& path : files_in(std::filesystem::path(LOWBIT_TEST_DATA_DIR) / "golden")) {
    const golden::File file(path);
    for (const golden::Configuration& c : file.configurations()) {
      const lowbit::Dialect* right = golden::dialect_of(c.backend);
      right_names.insert(right->name);
      for (const lowbit::Dialect& wrong : lowbit::dialects()) {
        if (wrong.name == right->name) continue;
        if (distinguished.contains({std::string(right->name), std::string(wrong.name)})) continue;
        if (file.compare(c, wrong).different_blocks == 0) continue;
        distinguished.emplace(right->name, wrong.name);
      }
    }
  }
  CHECK(right_names.size() == 3);
  for (const std::string_view a : right_names) {
    for (const lowbit::Dialect& b : lowbit::dialects()) {
      if (a == b.name) continue;
      INFO(a << " from " << b.name);
      CHECK(distinguished.contains({std::string(a), std::string(b.name)}));
    }
  }
}
