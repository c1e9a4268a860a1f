// SPDX-License-Identifier: MIT
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace lowbit {

/// A regular file mapped read-only. An empty file has no bytes and no mapping.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(region_.get_address()), region_.get_size()};
  }

 private:
  std::string name_;
  boost::interprocess::mapped_region region_;
};

}  // namespace lowbit
