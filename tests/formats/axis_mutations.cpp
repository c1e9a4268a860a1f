// SPDX-License-Identifier: MIT
// Takes every value of every axis for another one, and prints which shipped captures notice, as a
// Markdown table for docs/notes/dialect_mutations.md.
//
// usage: axis_mutations CAPTURES AXIS_EXAMPLES.json
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "axis_examples.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/dialect_axis.hpp"

using namespace lowbit;

namespace {

/// The configurations that differ from their captures where dialects with the value have `other`.
std::vector<std::string> noticing(const std::filesystem::path& folder, const DialectAxis& axis,
                                  std::uint8_t value, const std::string& other) {
  std::vector<std::string> out;
  std::deque<Dialect> mutants;
  const auto mutate = [&](const Dialect& d) -> const Dialect* {
    if (axis.get(d) != value) return nullptr;
    Dialect& mutant = mutants.emplace_back(d);
    set_dialect_axis(mutant, std::string(axis.name) + "=" + other);
    return &mutant;
  };
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors" || entry.path().stem() == "inputs") continue;
    compare_captures(
        entry.path(),
        [&](const CaptureResult& r) {
          if (r.unexplained + r.wrong_tensor_scales + r.wrong_dequantized == 0) return;
          out.push_back(r.library + " " + r.configuration);
        },
        0, mutate);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  fmt::print("| axis | value | taken for | shipped captures that notice |\n|---|---|---|---|\n");
  for (const axis_examples::Example& e : axis_examples::read(argv[2])) {
    const DialectAxis& axis = *find_dialect_axis(e.axis);
    std::uint8_t value = 0;
    while (axis.values[value].name != e.value) ++value;
    const std::vector<std::string> all = noticing(argv[1], axis, value, e.other);
    fmt::print("| {} | {} | {} | {} |\n", e.axis, e.value, e.other,
               all.empty() ? "none" : fmt::format("{}: {}", all.size(), all[0]));
  }
}
