// SPDX-License-Identifier: MIT
#include "lowbit/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "error_text.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace fs = std::filesystem;

OutputFile::OutputFile(const fs::path& path) : path_(path) {
  std::error_code ignored;
  // A symbolic link stays one: what it names is replaced.
  if (fs::is_symlink(fs::symlink_status(path_, ignored))) {
    const fs::path target = fs::weakly_canonical(path_, ignored);
    if (!ignored) path_ = target;
  }
  const fs::file_status status = fs::status(path_, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: not a regular file; name a file to write", printable(path.string())));
  }
  temporary_ = path_.string() + ".XXXXXX";
  descriptor_ = ::mkstemp(temporary_.data());
  if (descriptor_ < 0) {
    const int error_number = errno;
    temporary_.clear();
    fail("cannot create", error_number);
  }
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(descriptor_, 0666 & ~mask) != 0) {
    // The file keeps mkstemp's private mode: readable by its owner, which is still a valid output.
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write(std::span<const std::byte> bytes) {
  // One call never takes more than 2 GiB on Linux.
  constexpr std::size_t largest = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), std::min(bytes.size(), largest));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("cannot write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void OutputFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void OutputFile::commit() {
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename to it", errno);
  temporary_.clear();
}

void OutputFile::fail(const std::string& doing, int error_number) const {
  throw Error(ErrorKind::invalid_input,
              fmt::format("{}: {}: {}; check the folder, its permissions and free space",
                          printable(path_.string()), doing, std::strerror(error_number)));
}

}  // namespace lowbit
