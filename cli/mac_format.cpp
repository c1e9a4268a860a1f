// SPDX-License-Identifier: MIT
#include "mac_format.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <vector>

#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::cli {

const BlockFormat& mac_format_named(const std::string& option, const std::string& name) {
  if (const BlockFormat* format = sim::find_mac_format(in_lower_case(name))) return *format;
  std::vector<std::string_view> known;
  std::vector<std::string_view> plain;
  for (const BlockFormat& format : block_formats()) known.push_back(format.name);
  for (const BlockFormat& format : sim::plain_formats()) plain.push_back(format.name);
  known.insert(known.end(), plain.begin(), plain.end());
  throw Error(ErrorKind::usage,
              fmt::format("{}: no format {:.60}; nearest: {}; `lowbit formats` lists all, and "
                          "baselines have {}",
                          option, printable(name), fmt::join(nearest_names(name, known), ", "),
                          fmt::join(plain, ", ")));
}

}  // namespace lowbit::cli
