// SPDX-License-Identifier: MIT
/// \file
/// Baselines beside the block formats: what deployed models use today. Each is written to the bytes
/// of its source; docs/baselines.md states them. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lowbit/metrics.hpp"

namespace lowbit {

/// Row-major matrices to bytes and back. Values are finite; a row is one output channel.
class ReferenceCodec {
 public:
  virtual ~ReferenceCodec() = default;
  /// In --format and in reports.
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// One line for people.
  [[nodiscard]] virtual std::string_view summary() const = 0;
  /// Bytes that encode() gives: all that decode() needs beside the shape.
  [[nodiscard]] virtual std::size_t bytes(std::size_t rows, std::size_t columns) const = 0;
  /// \param rows  of the matrix
  /// \param columns  of the matrix
  /// \param values  rows * columns of them. \param out  bytes(rows, columns)
  virtual void encode(std::span<const float> values, std::size_t rows, std::size_t columns,
                      std::span<std::uint8_t> out) const = 0;
  /// \param rows  of the matrix
  /// \param columns  of the matrix
  /// \param bytes  any bytes(rows, columns) bytes. \param out  rows * columns values
  virtual void decode(std::span<const std::uint8_t> bytes, std::size_t rows, std::size_t columns,
                      std::span<float> out) const = 0;
  /// The fewest rows that may be coded by themselves: a part of that many rows, or a multiple of
  /// it, or the rows that are left at the end, comes back as within the matrix.
  [[nodiscard]] virtual std::size_t rows_apart(std::size_t columns) const {
    static_cast<void>(columns);
    return 1;
  }
  /// Whether codes depend on the largest magnitude of the whole matrix.
  [[nodiscard]] virtual bool needs_amax() const { return false; }
  /// Such a part through the codec and back.
  /// \param values  rows * columns of them
  /// \param rows  of the part
  /// \param columns  of the matrix
  /// \param amax  the largest magnitude of the whole matrix; ignored where !needs_amax()
  /// \param out  as many values
  virtual void round_trip_part(std::span<const float> values, std::size_t rows, std::size_t columns,
                               float amax, std::span<float> out) const;
  /// Bits of the matrix, padding and scales included.
  [[nodiscard]] std::uint64_t bits(std::size_t rows, std::size_t columns) const {
    return std::uint64_t{8} * bytes(rows, columns);
  }
};

/// Every codec, in the order in which the command lists them.
[[nodiscard]] std::span<const ReferenceCodec* const> reference_codecs();
/// The codec of that name, or nullptr.
[[nodiscard]] const ReferenceCodec* find_reference_codec(std::string_view name);

/// The matrix through the codec and back.
[[nodiscard]] std::vector<float> round_trip(const ReferenceCodec& codec,
                                            std::span<const float> values, std::size_t rows,
                                            std::size_t columns);

}  // namespace lowbit
