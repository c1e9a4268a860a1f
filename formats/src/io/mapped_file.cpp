// SPDX-License-Identifier: MIT
#include "io/mapped_file.hpp"

#include <fmt/format.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>

#include "io/error_text.hpp"

namespace lowbit {
namespace fs = std::filesystem;

MappedFile::MappedFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // Asked first: opening a pipe would wait for a writer.
  if (!fs::exists(status)) reject({name_}, "no such file", "check the name");
  if (!fs::is_regular_file(status)) reject({name_}, "not a regular file", "name a file");
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) reject({name_}, fmt::format("cannot be read: {}", error.message()), "check it");
  if (size == 0) return;
  try {
    const boost::interprocess::file_mapping mapping(name_.c_str(), boost::interprocess::read_only);
    region_ = boost::interprocess::mapped_region(mapping, boost::interprocess::read_only);
  } catch (const boost::interprocess::interprocess_exception& failure) {
    reject({name_}, fmt::format("cannot be read: {}", failure.what()), "check its permissions");
  }
}

}  // namespace lowbit
