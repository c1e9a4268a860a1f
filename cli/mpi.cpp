// SPDX-License-Identifier: MIT
// The processes of MPI. The only file that knows MPI; the build leaves it out where MPI is not
// there.
#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <climits>
#include <mutex>
#include <numeric>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "processes.hpp"

namespace lowbit::cli {
namespace {

/// A call's result, of a file. \throws Error(invalid_input)
void check(int result, const std::string& path, const char* doing) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(result, text.data(), &length);
  throw Error(ErrorKind::invalid_input,
              fmt::format("{}: {}: {}; check the folder, its permissions and free space",
                          printable(path), doing, printable(std::string(text.data()))));
}

/// Files are opened by all processes, so that MPI knows that they share it; errors are returned,
/// not fatal, as MPI has it for files.
class MpiFile final : public SharedFile {
 public:
  explicit MpiFile(const std::string& path) : path_(path) {
    check(MPI_File_open(MPI_COMM_WORLD, path.c_str(), MPI_MODE_WRONLY, MPI_INFO_NULL, &file_),
          path_, "cannot open");
  }
  // A file that is not closed after a failure stays open until the process ends: to close it, all
  // processes would have to be there.

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    constexpr std::size_t largest = std::size_t{1} << 30;
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), largest);
      MPI_Status status;
      int written = 0;
      {
        const std::lock_guard lock(mutex_);
        check(MPI_File_write_at(file_, static_cast<MPI_Offset>(offset), bytes.data(),
                                static_cast<int>(n), MPI_BYTE, &status),
              path_, "cannot write");
        MPI_Get_count(&status, MPI_BYTE, &written);
      }
      if (written <= 0) {
        throw Error(ErrorKind::invalid_input,
                    fmt::format("{}: cannot write; check its free space", printable(path_)));
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
  }
  void close() override { check(MPI_File_close(&file_), path_, "cannot write"); }

 private:
  std::string path_;
  MPI_File file_ = MPI_FILE_NULL;
  std::mutex mutex_;  ///< MPI_THREAD_SERIALIZED: one call at a time
};

class MpiProcesses final : public Communicator {
 public:
  MpiProcesses() {
    int given = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given);
    if (given < MPI_THREAD_SERIALIZED) {
      throw Error(ErrorKind::unavailable,
                  "this MPI takes no calls from threads: use one that has MPI_THREAD_SERIALIZED");
    }
    int rank = 0, size = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    rank_ = static_cast<std::size_t>(rank);
    size_ = static_cast<std::size_t>(size);
  }
  ~MpiProcesses() override { MPI_Finalize(); }

  [[nodiscard]] std::size_t rank() const override { return rank_; }
  [[nodiscard]] std::size_t size() const override { return size_; }

  [[nodiscard]] std::unique_ptr<SharedFile> open_shared(
      const std::filesystem::path& path) const override {
    std::unique_ptr<SharedFile> file;
    together([&] { file = std::make_unique<MpiFile>(path.string()); });
    return file;
  }

 protected:
  [[nodiscard]] std::vector<Bytes> exchange(std::span<const std::byte> mine) const override {
    const auto my_size = static_cast<std::uint64_t>(mine.size());
    std::vector<std::uint64_t> sizes(size_);
    MPI_Allgather(&my_size, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, MPI_COMM_WORLD);
    std::vector<Bytes> all(size_);
    for (std::size_t r = 0; r < size_; ++r) all[r].reserve(sizes[r]);
    // MPI counts in int: rounds in which all processes together give less than 2 GiB.
    const std::uint64_t step = std::max<std::uint64_t>(std::uint64_t{INT_MAX} / size_, 1);
    const std::uint64_t longest = *std::max_element(sizes.begin(), sizes.end());
    std::vector<int> counts(size_), places(size_);
    Bytes round;
    for (std::uint64_t at = 0; at < longest; at += step) {
      const auto left = [&](std::uint64_t size) {
        return size > at ? std::min(size - at, step) : 0;
      };
      for (std::size_t r = 0; r < size_; ++r) counts[r] = static_cast<int>(left(sizes[r]));
      std::exclusive_scan(counts.begin(), counts.end(), places.begin(), 0);
      round.resize(static_cast<std::size_t>(places.back()) +
                   static_cast<std::size_t>(counts.back()));
      MPI_Allgatherv(mine.data() + std::min(at, my_size), counts[rank_], MPI_BYTE, round.data(),
                     counts.data(), places.data(), MPI_BYTE, MPI_COMM_WORLD);
      for (std::size_t r = 0; r < size_; ++r) {
        const auto from = round.begin() + places[r];
        all[r].insert(all[r].end(), from, from + counts[r]);
      }
    }
    return all;
  }

 private:
  std::size_t rank_ = 0;
  std::size_t size_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> mpi_processes() {
  return std::make_unique<MpiProcesses>();
}

}  // namespace lowbit::cli
