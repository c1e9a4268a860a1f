// SPDX-License-Identifier: MIT
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace lowbit {

/// A regular file mapped read-only. An empty file has no bytes and no mapping. All that exist are
/// in a list, so that what was read can be dropped from memory (note_read) and a fault be named
/// (lowbit/map_fault.hpp).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  /// Maps an open file that has no name, and is not empty. \param name  the file that it stands for
  MappedFile(int descriptor, std::string name);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(region_.get_address()), region_.get_size()};
  }

 private:
  friend struct MappedFiles;
  void map(const std::string& path);

  std::string name_;
  std::string printable_name_;  ///< for a signal handler, which cannot make it
  boost::interprocess::mapped_region region_;
  MappedFile* next_ = nullptr;
  MappedFile* previous_ = nullptr;
};

/// Says that these bytes were read. Pages of mapped files stay in a process's memory once they were
/// read; when those read since the last time may take window_bytes, all are dropped. They come back
/// from the system's cache, or the disk, where they are read again. Thread-safe.
void note_read(std::span<const std::byte> bytes) noexcept;

/// What mapped files keep in memory at most, about.
inline constexpr std::size_t window_bytes = std::size_t{64} << 20;

}  // namespace lowbit
