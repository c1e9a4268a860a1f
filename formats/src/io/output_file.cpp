// SPDX-License-Identifier: MIT
#include "lowbit/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "io/error_text.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace fs = std::filesystem;

namespace {

/// The files that have a temporary one, as a list that a signal handler can walk.
OutputFile* first_of_list = nullptr;
std::atomic_flag list_is_locked;

void lock_list() noexcept {
  // A handler may wait here, so nothing but what is async-signal-safe.
  while (list_is_locked.test_and_set(std::memory_order_acquire)) ::sched_yield();
}

/// Holds the list. Signals are blocked in this thread meanwhile, so a handler that waits for the
/// list waits for another thread, never for the one that it interrupted.
class ListLock {
 public:
  ListLock() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    lock_list();
  }
  ListLock(const ListLock&) = delete;
  ListLock& operator=(const ListLock&) = delete;
  ~ListLock() {
    list_is_locked.clear(std::memory_order_release);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_{};
};

}  // namespace

void abandon_output_files() noexcept {
  lock_list();  // and keeps it: what another thread would create now would stay behind
  for (const OutputFile* file = first_of_list; file != nullptr; file = file->next_) {
    // A child process inherits the list, not the files.
    if (file->owner_ == ::getpid()) ::unlink(file->temporary_.c_str());
  }
}

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
  temporary_ = (path_.parent_path() / ".lowbit-XXXXXX").string();
  int error_number = 0;
  {
    const ListLock lock;
    descriptor_ = ::mkstemp(temporary_.data());
    if (descriptor_ >= 0) {
      owner_ = ::getpid();
      next_ = first_of_list;
      if (next_ != nullptr) next_->previous_ = this;
      first_of_list = this;
    } else {
      error_number = errno;
    }
  }
  if (descriptor_ < 0) {
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
  if (temporary_.empty()) return;
  const ListLock lock;
  ::unlink(temporary_.c_str());
  leave_list();
}

void OutputFile::leave_list() {
  (previous_ != nullptr ? previous_->next_ : first_of_list) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
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

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) const {
  constexpr std::size_t largest = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), largest),
                               static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      fail("cannot write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void OutputFile::extend(std::uint64_t size) const {
  struct stat now {};
  if (::fstat(descriptor_, &now) != 0) fail("cannot write", errno);
  if (static_cast<std::uint64_t>(now.st_size) >= size) return;
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) fail("cannot write", errno);
}

void OutputFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void OutputFile::commit() {
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot write", errno);
  int error_number = 0;
  {
    const ListLock lock;
    if (::rename(temporary_.c_str(), path_.c_str()) == 0) {
      leave_list();
    } else {
      error_number = errno;
    }
  }
  if (error_number != 0) fail("cannot rename to it", error_number);
  temporary_.clear();
}

void OutputFile::fail(const std::string& doing, int error_number) const {
  throw Error(ErrorKind::invalid_input,
              fmt::format("{}: {}: {}; check the folder, its permissions and free space",
                          printable(path_.string()), doing, std::strerror(error_number)));
}

}  // namespace lowbit
