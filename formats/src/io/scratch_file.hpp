// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "io/mapped_file.hpp"

namespace lowbit {

/// A file without a name in the folder for temporary files (TMPDIR, else /tmp): what does not fit
/// in memory is written to it and then mapped. It is gone with the process, however that ends.
class ScratchFile {
 public:
  /// \param name  the file that it stands for, for messages. \throws Error(invalid_input)
  explicit ScratchFile(std::string name);
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile();

  void write(std::span<const std::byte> bytes);
  /// What was written, at least one byte.
  [[nodiscard]] std::unique_ptr<MappedFile> map() const;

 private:
  [[noreturn]] void fail(const char* doing, int error_number) const;

  std::string name_;
  std::string folder_;
  int descriptor_ = -1;
};

}  // namespace lowbit
