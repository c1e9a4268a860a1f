// SPDX-License-Identifier: MIT
#include "io/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/file_mapping.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/error_text.hpp"
#include "lowbit/map_fault.hpp"
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

/// The list of maps. A handler of SIGBUS walks it while other threads may hold it, so it has a lock
/// that may be waited for in a handler, as in output_file.cpp. Nothing that holds it reads a map.
struct MappedFiles {
  static inline MappedFile* first = nullptr;
  static inline std::atomic_flag locked;

  class Lock {
   public:
    Lock() noexcept {
      sigset_t all;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &before_);
      while (locked.test_and_set(std::memory_order_acquire)) ::sched_yield();
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() {
      locked.clear(std::memory_order_release);
      ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

   private:
    sigset_t before_{};
  };

  static void enter(MappedFile& file) {
    const Lock lock;
    file.next_ = first;
    if (first != nullptr) first->previous_ = &file;
    first = &file;
  }
  static void leave(MappedFile& file) {
    const Lock lock;
    (file.previous_ != nullptr ? file.previous_->next_ : first) = file.next_;
    if (file.next_ != nullptr) file.next_->previous_ = file.previous_;
  }
  static void drop_pages() noexcept {
    const Lock lock;
    for (const MappedFile* file = first; file != nullptr; file = file->next_) {
      // A file's pages are the same when they come back. Where the system refuses, they stay.
      ::madvise(file->region_.get_address(), file->region_.get_size(), MADV_DONTNEED);
    }
  }
  /// Writes the text of map_fault_text() where the address is one of a map's.
  static std::size_t describe(const void* address, std::span<char> out) noexcept {
    const Lock lock;
    for (const MappedFile* file = first; file != nullptr; file = file->next_) {
      const auto begin = reinterpret_cast<std::uintptr_t>(file->region_.get_address());
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      if (at < begin || at - begin >= file->region_.get_size()) continue;
      std::size_t used = 0;
      const auto put = [&](std::string_view text) {
        const std::size_t n = std::min(text.size(), out.size() - used);
        std::memcpy(out.data() + used, text.data(), n);
        used += n;
      };
      char digits[20];
      std::size_t places = 0;
      std::uintptr_t offset = at - begin;
      do digits[sizeof digits - ++places] = static_cast<char>('0' + offset % 10);
      while ((offset /= 10) != 0);
      put(file->printable_name_);
      put(": byte ");
      put({digits + sizeof digits - places, places});
      put(": cannot be read any more: the file became shorter, or its disk fails; fetch it again");
      return used;
    }
    return 0;
  }
};

std::size_t map_fault_text(const void* address, std::span<char> out) noexcept {
  return MappedFiles::describe(address, out);
}

namespace {

/// What all maps of files have in memory, programs and libraries among them; nothing where the
/// system does not say.
std::optional<std::size_t> resident_of_files() noexcept {
  const int descriptor = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  char text[128];
  const ssize_t n = ::read(descriptor, text, sizeof text - 1);
  ::close(descriptor);
  if (n <= 0) return std::nullopt;
  text[n] = '\0';
  // size, resident, resident of files, ...
  std::size_t pages = 0;
  if (std::sscanf(text, "%*u %*u %zu", &pages) != 1) return std::nullopt;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void note_read(std::span<const std::byte> bytes) noexcept {
  // A fault brings its neighbours along: 64 KiB as a rule, and up to 2 MiB where the system keeps a
  // file in large folios. Reading on near where the last read ended needs no new ones but its own
  // and those that it skips: blocks that are sampled all over a file bring in all of it.
  constexpr std::size_t near = std::size_t{64} << 10;
  constexpr std::size_t around = std::size_t{2} << 20;
  static std::atomic<std::size_t> resident{0};
  static std::atomic<std::size_t> floor{0};  ///< what is there after pages were dropped
  thread_local const std::byte* last_end = nullptr;
  const std::byte* const begin = bytes.data();
  const bool goes_on = begin >= last_end && begin < last_end + near;
  const auto skipped = goes_on ? static_cast<std::size_t>(begin - last_end) : around;
  last_end = begin + bytes.size();
  const std::size_t more = bytes.size() + skipped;
  if (resident.fetch_add(more, std::memory_order_relaxed) + more < window_bytes) return;
  // That much at most: what it is, the system knows.
  const std::optional<std::size_t> now = resident_of_files();
  const std::size_t kept = floor.load(std::memory_order_relaxed);
  if (now && *now < kept + window_bytes / 2) {
    resident.store(*now > kept ? *now - kept : 0, std::memory_order_relaxed);
    return;
  }
  resident.store(0, std::memory_order_relaxed);
  MappedFiles::drop_pages();
  floor.store(resident_of_files().value_or(0), std::memory_order_relaxed);
}

MappedFile::MappedFile(const fs::path& path) : name_(path.string()) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // Asked first: opening a pipe would wait for a writer.
  if (!fs::exists(status)) reject({name_}, "no such file", "check the name" + nearest_file(path));
  if (!fs::is_regular_file(status)) reject({name_}, "not a regular file", "name a file");
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) reject({name_}, fmt::format("cannot be read: {}", error.message()), "check it");
  if (size != 0) map(name_);
}

MappedFile::MappedFile(int descriptor, std::string name) : name_(std::move(name)) {
  map(fmt::format("/proc/self/fd/{}", descriptor));
}

void MappedFile::map(const std::string& path) {
  printable_name_ = printable(name_);
  try {
    const boost::interprocess::file_mapping mapping(path.c_str(), boost::interprocess::read_only);
    region_ = boost::interprocess::mapped_region(mapping, boost::interprocess::read_only);
  } catch (const boost::interprocess::interprocess_exception& failure) {
    reject({name_}, fmt::format("cannot be read: {}", failure.what()), "check its permissions");
  }
  MappedFiles::enter(*this);
}

MappedFile::~MappedFile() {
  if (region_.get_size() != 0) MappedFiles::leave(*this);
}

}  // namespace lowbit
