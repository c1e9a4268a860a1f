// SPDX-License-Identifier: MIT
#include "io/scratch_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "io/error_text.hpp"

namespace lowbit {

ScratchFile::ScratchFile(std::string name) : name_(std::move(name)) {
  std::error_code none;
  folder_ = std::filesystem::temp_directory_path(none).string();
  std::string path = folder_ + "/.lowbit-XXXXXX";
  descriptor_ = ::mkstemp(path.data());
  if (descriptor_ < 0) fail("cannot create a temporary file", errno);
  ::unlink(path.c_str());
}

ScratchFile::~ScratchFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ScratchFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("cannot be unpacked to a temporary file", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

std::unique_ptr<MappedFile> ScratchFile::map() const {
  return std::make_unique<MappedFile>(descriptor_, name_);
}

void ScratchFile::fail(const char* doing, int error_number) const {
  reject({name_}, fmt::format("{}: {}: {}", doing, printable(folder_), std::strerror(error_number)),
         "free space there, or name another folder in TMPDIR");
}

}  // namespace lowbit
