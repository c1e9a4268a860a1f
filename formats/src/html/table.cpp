// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "html/style.hpp"
#include "lowbit/html.hpp"

namespace lowbit::html {
namespace {

/// The finite values that a shade is measured against.
struct Range {
  double best = std::numeric_limits<double>::quiet_NaN();
  double length = 0.0;
};

Range range_of(const HeatMap& map, std::size_t first, std::size_t step) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (std::size_t i = first; i < map.values.size(); i += step) {
    if (!std::isfinite(map.values[i])) continue;
    low = std::min(low, map.values[i]);
    high = std::max(high, map.values[i]);
  }
  if (low > high) return {};
  return {map.low_is_bad ? high : low, std::max(high - low, map.least_range)};
}

int shade_of(const HeatMap& map, const Range& range, double value) {
  if (std::isinf(value)) return (value < 0.0) == map.low_is_bad ? shades - 1 : 0;
  if (range.length == 0.0) return 0;
  const double part = std::fabs(value - range.best) / range.length;
  return std::clamp(static_cast<int>(part * shades), 0, shades - 1);
}

/// A name that may break behind its dots and slashes.
std::string name_of_row(const std::string& name) {
  std::string out;
  for (const char c : escape(name)) {
    out += c;
    if (c == '.' || c == '/') out += "<wbr>";
  }
  return out;
}

std::string key_of(const HeatMap& map) {
  std::string key = "<p class=\"key\">better ";
  for (int shade = 0; shade < shades; ++shade) key += fmt::format("<i class=\"h{}\"></i>", shade);
  return key + (map.by_column ? " worse, each column by itself</p>\n" : " worse</p>\n");
}

}  // namespace

std::string table(const Table& table) {
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>";
  for (const Table::Column& column : table.columns) {
    out += fmt::format("<th scope=\"col\"{}>{}</th>", column.is_number ? " class=\"n\"" : "",
                       escape(column.heading));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_number = i < table.columns.size() && table.columns[i].is_number;
      out += fmt::format("<td{}>{}</td>", is_number ? " class=\"n\"" : "", escape(row[i]));
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string heat_map(const HeatMap& map) {
  const std::size_t columns = map.columns.size();
  if (map.values.size() != map.rows.size() * columns) {
    throw std::invalid_argument("a heat map has one value for each row and column");
  }
  std::vector<Range> ranges;
  for (std::size_t c = 0; c < columns; ++c) {
    ranges.push_back(map.by_column ? range_of(map, c, columns) : range_of(map, 0, 1));
  }
  const auto text = [&](double value) {
    return map.text ? map.text(value) : fmt::format("{:.4g}", value);
  };
  std::string out = key_of(map);
  out += fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"heat\">\n<thead><tr><th "
      "scope=\"col\">{}</th>",
      escape(map.corner));
  for (const std::string& name : map.columns) {
    out += fmt::format("<th scope=\"col\">{}</th>", escape(name));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    out += fmt::format("<tr><th scope=\"row\">{}</th>", name_of_row(map.rows[r]));
    for (std::size_t c = 0; c < columns; ++c) {
      const double value = map.values[r * columns + c];
      if (std::isnan(value)) {
        out += "<td></td>";
      } else {
        out += fmt::format("<td class=\"h{}\">{}</td>", shade_of(map, ranges[c], value),
                           escape(text(value)));
      }
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace lowbit::html
