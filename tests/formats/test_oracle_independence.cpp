// SPDX-License-Identifier: MIT
// An oracle that shares code with what it judges judges nothing.
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "catch.hpp"

TEST_CASE("the oracle includes itself, Boost and the standard library only") {
  const std::regex include(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  const std::regex allowed(R"(oracle/.*|boost/multiprecision/cpp_int\.hpp|c?[a-z_]+)");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOWBIT_ORACLE_DIR)) {
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp") continue;
    ++files;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      INFO(entry.path().filename().string() << ": " << line);
      CHECK(std::regex_match(match[1].str(), allowed));
    }
  }
  CHECK(files >= 6);
}
