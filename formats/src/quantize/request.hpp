// SPDX-License-Identifier: MIT
// What is to be done with a matrix, checked once.
#pragma once

#include <cstddef>
#include <span>

#include "lowbit/quantize.hpp"

namespace lowbit::detail {

class Request {
 public:
  /// \throws Error as quantize() does for options that have no meaning or do not fit the shape.
  Request(std::size_t rows, std::size_t columns, const QuantizeOptions& options);

  [[nodiscard]] const QuantizeOptions& options() const { return options_; }
  [[nodiscard]] const BlockFormat& format() const { return *options_.format; }
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t columns() const { return columns_; }
  [[nodiscard]] std::size_t block_size() const {
    return static_cast<std::size_t>(format().block_size);
  }
  [[nodiscard]] std::size_t blocks() const { return (columns_ + block_size() - 1) / block_size(); }
  [[nodiscard]] std::size_t padded_columns() const { return blocks() * block_size(); }
  /// Rows that are quantized together.
  [[nodiscard]] std::size_t block_rows() const {
    return options_.block_2d ? static_cast<std::size_t>(format().block_rows_2d()) : 1;
  }

 private:
  void check_search(ScaleRule rule) const;
  void check_random(std::span<const float> random, std::string_view name) const;
  std::size_t rows_;
  std::size_t columns_;
  const QuantizeOptions& options_;
};

}  // namespace lowbit::detail
