// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <vector>

#include "dequantize/value_table.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/eval_details.hpp"

namespace lowbit {
namespace {

constexpr std::size_t bins = 50;
constexpr std::size_t worst_blocks = 3;

Histogram histogram(double low, double high) {
  return {low, high, std::vector<std::uint64_t>(bins, 0)};
}

/// The largest finite magnitude among a block's values.
double largest_of(const float* values, std::size_t count) {
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i]))
      largest = std::max(largest, std::fabs(static_cast<double>(values[i])));
  }
  return largest;
}

}  // namespace

void Histogram::add(double value) {
  if (std::isnan(value)) return;
  const double place = (value - low) / (high - low) * static_cast<double>(counts.size());
  const double last = static_cast<double>(counts.size() - 1);
  ++counts[static_cast<std::size_t>(std::clamp(place, 0.0, last))];
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
}

void EvalDetails::add(std::size_t format, const std::string& name, std::span<const float> values,
                      std::size_t columns, const QuantizeOptions& request) {
  FormatDetails& out = formats.at(format);
  if (out.magnitudes.counts.empty()) {
    out.magnitudes = histogram(0.0, 1.25);
    out.errors = histogram(-0.25, 0.25);
  }
  if (values.empty()) return;
  const std::size_t rows = values.size() / columns;
  const BlockTensor t = quantize(values, rows, columns, request);
  detail::ValueTable table(*t.format, t.amax, t.encode_constant,
                           request.dialect != nullptr ? *request.dialect : canonical);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  const std::size_t codes = detail::ValueTable::row_size(*t.format);
  const auto place_of = [&](std::size_t row, std::size_t column) {
    return detail::ValueTable::index(*t.format, t.code(row, column), t.level(row, column));
  };
  double total = 0.0;
  double worst = -1.0;
  std::size_t worst_row = 0;
  std::size_t worst_block = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < t.blocks_per_row(); ++b) {
      const float* const decoded = table.row(t.scale(r, b));
      const double largest = largest_of(decoded, codes);
      double squared = 0.0;
      for (std::size_t c = b * size; c < std::min((b + 1) * size, columns); ++c) {
        const double x = values[r * columns + c];
        const double error = static_cast<double>(decoded[place_of(r, c)]) - x;
        squared += error * error;
        if (largest == 0.0) continue;
        out.magnitudes.add(std::fabs(x) / largest);
        out.errors.add(error / largest);
      }
      total += squared;
      if (squared > worst) {
        worst = squared;
        worst_row = r;
        worst_block = b;
      }
    }
  }
  if (!(worst > 0.0)) return;
  BlockPicture picture;
  picture.tensor = name;
  picture.row = worst_row;
  picture.block = worst_block;
  picture.scale_byte = t.scale(worst_row, worst_block);
  picture.times_mean = worst / (total / static_cast<double>(rows * t.blocks_per_row()));
  const float* const decoded = table.row(picture.scale_byte);
  for (std::size_t c = worst_block * size; c < std::min((worst_block + 1) * size, columns); ++c) {
    picture.values.push_back(values[worst_row * columns + c]);
    picture.codes.push_back(t.code(worst_row, c));
    picture.dequantized.push_back(decoded[place_of(worst_row, c)]);
  }
  const auto place = std::find_if(out.worst.begin(), out.worst.end(), [&](const BlockPicture& p) {
    return p.times_mean < picture.times_mean;
  });
  out.worst.insert(place, std::move(picture));
  if (out.worst.size() > worst_blocks) out.worst.pop_back();
}

void EvalDetails::add_crests(std::span<const float> values, std::size_t columns, int block_size) {
  const auto size = static_cast<std::size_t>(block_size);
  const auto [entry, is_new] = crests.try_emplace(block_size);
  if (is_new) entry->second = histogram(1.0, 6.0);
  for (std::size_t row = 0; row < values.size(); row += columns) {
    for (std::size_t c = 0; c < columns; c += size) {
      const std::size_t count = std::min(size, columns - c);
      double amax = 0.0;
      double squares = 0.0;
      for (std::size_t i = 0; i < count; ++i) {
        const double x = values[row + c + i];
        amax = std::max(amax, std::fabs(x));
        squares += x * x;
      }
      if (squares != 0.0) {
        entry->second.add(amax / std::sqrt(squares / static_cast<double>(count)));
      }
    }
  }
}

}  // namespace lowbit
