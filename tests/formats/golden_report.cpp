// SPDX-License-Identifier: MIT
// Prints the tables of docs/dialects.md: without arguments the axes of every dialect, and
// otherwise, for every configuration of the captures given, how many blocks differ. usage:
// golden_report FILE...
#include <cstdio>
#include <map>

#include "capture/golden_file.hpp"
#include "lowbit/dialect_axis.hpp"

namespace {

struct Total {
  std::size_t files = 0;
  std::size_t blocks = 0;
  std::size_t different_blocks = 0;
  std::size_t different_scales = 0;
  std::size_t dequantized = 0;
  std::size_t different_dequantized = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    std::fputs(lowbit::dialect_tables().c_str(), stdout);
    return 0;
  }
  std::map<std::pair<std::string, std::string>, Total> totals;
  for (int i = 1; i < argc; ++i) {
    const golden::File file(argv[i]);
    for (const golden::Configuration& c : file.configurations()) {
      const lowbit::Dialect* dialect = golden::dialect_of(c.backend);
      if (dialect == nullptr) continue;
      const golden::Comparison r = file.compare(c, *dialect);
      Total& total = totals[{std::string(dialect->name), c.key}];
      ++total.files;
      total.blocks += r.blocks;
      total.different_blocks += r.different_blocks;
      total.different_scales += r.different_scales;
      total.dequantized += r.has_dequantization ? 1 : 0;
      total.different_dequantized += r.dequantization_differs ? 1 : 0;
      if (r.different_blocks != 0 || r.amax_differs || r.dequantization_differs) {
        std::fprintf(stderr, "%s %s: %zu of %zu blocks differ, first %zu%s%s\n", argv[i],
                     c.prefix.c_str(), r.different_blocks, r.blocks, r.first.value_or(0),
                     r.amax_differs ? ", amax" : "",
                     r.dequantization_differs ? ", dequantization" : "");
      }
    }
  }
  std::printf(
      "| dialect | configuration | files | blocks | different blocks | different scale bytes | "
      "dequantizations (different) |\n");
  std::printf("|---|---|---:|---:|---:|---:|---:|\n");
  for (const auto& [key, t] : totals) {
    std::printf("| `%s` | `%s` | %zu | %zu | %zu | %zu | %zu (%zu) |\n", key.first.c_str(),
                key.second.c_str(), t.files, t.blocks, t.different_blocks, t.different_scales,
                t.dequantized, t.different_dequantized);
  }
}
