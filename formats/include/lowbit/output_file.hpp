// SPDX-License-Identifier: MIT
/// \file
/// An output file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lowbit {

/// Writes to a temporary file in the folder of `path` and renames it there on commit. Without a
/// commit nothing is left behind. \throws Error(invalid_input) where the system refuses.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail(const std::string& doing, int error_number) const;

  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace lowbit
