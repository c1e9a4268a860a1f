// SPDX-License-Identifier: MIT
// Ranks as threads of one process: what the libraries do in several processes, without MPI.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <barrier>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lowbit/communicator.hpp"

namespace lowbit::test {

class Team {
 public:
  explicit Team(std::size_t size) : barrier_(static_cast<std::ptrdiff_t>(size)), slots_(size) {}

  /// Calls work(communicator) once per rank, each in a thread of its own, and ends as a program
  /// does. \return what each rank ended with
  std::vector<std::optional<Failure>> run(const std::function<void(const Communicator&)>& work) {
    std::vector<std::optional<Failure>> ends(slots_.size());
    std::vector<std::thread> threads;
    for (std::size_t r = 0; r < slots_.size(); ++r) {
      threads.emplace_back([&, r] {
        const Member member(*this, r);
        std::optional<Failure> failure;
        try {
          work(member);
        } catch (const std::exception&) {
          failure = failure_of(std::current_exception());
        }
        ends[r] = member.finish(failure);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return ends;
  }

 private:
  class File final : public SharedFile {
   public:
    File(const std::string& path, Team& team)
        : descriptor_(::open(path.c_str(), O_WRONLY | O_CLOEXEC)), team_(team) {
      if (descriptor_ < 0) throw Error(ErrorKind::invalid_input, path + ": cannot open");
    }
    ~File() override { ::close(descriptor_); }
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      if (::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
          static_cast<ssize_t>(bytes.size())) {
        throw Error(ErrorKind::invalid_input, "cannot write");
      }
    }
    void close() override { team_.barrier_.arrive_and_wait(); }

   private:
    int descriptor_;
    Team& team_;
  };

  class Member final : public Communicator {
   public:
    Member(Team& team, std::size_t rank) : team_(team), rank_(rank) {}
    [[nodiscard]] std::size_t rank() const override { return rank_; }
    [[nodiscard]] std::size_t size() const override { return team_.slots_.size(); }
    [[nodiscard]] std::unique_ptr<SharedFile> open_shared(
        const std::filesystem::path& path) const override {
      std::unique_ptr<SharedFile> file;
      together([&] { file = std::make_unique<File>(path.string(), team_); });
      return file;
    }

   protected:
    [[nodiscard]] std::vector<Bytes> exchange(std::span<const std::byte> mine) const override {
      team_.slots_[rank_].assign(mine.begin(), mine.end());
      team_.barrier_.arrive_and_wait();
      std::vector<Bytes> all = team_.slots_;
      team_.barrier_.arrive_and_wait();
      return all;
    }

   private:
    Team& team_;
    std::size_t rank_;
  };

  std::barrier<> barrier_;
  std::vector<Communicator::Bytes> slots_;
};

}  // namespace lowbit::test
