// SPDX-License-Identifier: MIT
#include "io/mapped_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/error_text.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace fs = std::filesystem;

namespace {

/// The file in the same folder whose name is nearest, for a message; empty where there is none.
std::string nearest_file(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<std::string> names;
  std::error_code error;
  // A folder of very many files is not searched to its end.
  constexpr std::size_t most = 10000;
  for (fs::directory_iterator entry(folder, error), end;
       !error && entry != end && names.size() < most; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::vector<std::string> nearest = nearest_names(path.filename().string(), known, 1);
  return nearest.empty() ? ""
                         : fmt::format("; the nearest in its folder is {}", printable(nearest[0]));
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // Asked first: opening a pipe would wait for a writer.
  if (!fs::exists(status)) reject({name_}, "no such file", "check the name" + nearest_file(path));
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
