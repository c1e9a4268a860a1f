// SPDX-License-Identifier: MIT
/// \file
/// An output file that appears whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lowbit {

/// Writes to a temporary file, .lowbit-XXXXXX in the folder of `path`, and renames it to `path` on
/// commit. Without a commit nothing is left behind. Different objects may be used from different
/// threads. \throws Error(invalid_input) where the system refuses.
class OutputFile {
 public:
  /// Opens a temporary file beside `path`.
  explicit OutputFile(const std::filesystem::path& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  /// Appends the bytes.
  void write(std::span<const std::byte> bytes);
  /// Appends the bytes.
  void write(std::string_view text);
  /// Writes the bytes at an offset from the file's begin; what lies before it and was not written
  /// is zeros. Does not move the place where write() appends. Several threads may call it.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) const;
  /// Makes the file at least that long.
  void extend(std::uint64_t size) const;
  /// The temporary file. \return its path; empty after commit()
  [[nodiscard]] const std::string& temporary() const { return temporary_; }
  /// Renames the temporary file to the path. Call it once, at the end.
  void commit();

 private:
  friend void abandon_output_files() noexcept;
  void leave_list();
  [[noreturn]] void fail(const std::string& doing, int error_number) const;

  std::filesystem::path path_;
  std::string temporary_;  ///< empty where there is none
  int descriptor_ = -1;
  pid_t owner_ = 0;             ///< the process that created the temporary file
  OutputFile* next_ = nullptr;  ///< in the list of those that have one
  OutputFile* previous_ = nullptr;
};

/// Removes the temporary files of this process, for a handler of a signal that ends it:
/// async-signal- safe. Afterwards no output file can be created, committed or destroyed (a thread
/// that tries waits forever), so the handler must end the process. The library installs no handler
/// itself.
void abandon_output_files() noexcept;

}  // namespace lowbit
