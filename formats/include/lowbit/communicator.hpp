// SPDX-License-Identifier: MIT
/// \file
/// Several processes that share one piece of work, such as those that mpirun starts: each does its
/// part, what they found is put together in the order of the parts, and a failure in one of them is
/// the failure of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "lowbit/error.hpp"

namespace lowbit {

/// A file that exists and that all processes write to.
class SharedFile {
 public:
  virtual ~SharedFile() = default;
  /// Writes bytes at an offset. Several threads may call it. \throws Error(invalid_input)
  virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// Every process calls it once, after all of them have written. \throws Error(invalid_input)
  virtual void close() = 0;
};

/// Why a process failed: what an exception says, so that another process can throw it.
struct Failure {
  ErrorKind kind = ErrorKind::internal;  ///< the exit code
  bool nonfinite = false;                ///< whether it is a NonFiniteInput (evaluate.hpp)
  std::string text;                      ///< what()
};
/// What an exception says. Exceptions other than Error are internal errors; too little memory is
/// invalid input.
[[nodiscard]] Failure failure_of(const std::exception_ptr& exception);

/// The processes that share a piece of work, of which this one is number rank() of size(). All of
/// them must be given the same requests, and call what is marked as common in the same order. One
/// thread of each process calls it.
class Communicator {
 public:
  using Bytes = std::vector<std::byte>;  ///< what one process gives the others

  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  /// This process's number, from 0.
  [[nodiscard]] virtual std::size_t rank() const = 0;
  /// The number of processes, at least 1.
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// Opens a file for all processes. Common. Null where there is one process: it needs no such
  /// file. \throws Error(invalid_input) in all of them where one cannot open it
  [[nodiscard]] virtual std::unique_ptr<SharedFile> open_shared(
      const std::filesystem::path& path) const = 0;

  /// Does this process's part of the work. Common. \return what each process's part returned, in
  /// the order of ranks. \throws in all processes the failure of the lowest rank that failed
  [[nodiscard]] std::vector<Bytes> collect(const std::function<Bytes()>& work) const;
  /// The same for parts that return nothing.
  void together(const std::function<void()>& work) const;
  /// The same for vectors of plain values: those of all ranks, one after another.
  template <typename T>
  [[nodiscard]] std::vector<T> gather(const std::function<std::vector<T>()>& work) const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (size() == 1) return work();
    const std::vector<Bytes> parts = collect([&]() -> Bytes {
      const std::vector<T> mine = work();
      const auto bytes = std::as_bytes(std::span(mine));
      return {bytes.begin(), bytes.end()};
    });
    std::vector<T> all;
    for (const Bytes& part : parts) {
      const std::size_t first = all.size();
      all.resize(first + part.size() / sizeof(T));
      if (!part.empty()) std::memcpy(all.data() + first, part.data(), part.size());
    }
    return all;
  }

  /// The end of the program: each process calls it once, whether it failed or not, and nothing
  /// common afterwards. \param failure  this process's own, if it failed
  /// \return the failure that all end with, of the lowest rank that failed
  [[nodiscard]] std::optional<Failure> finish(const std::optional<Failure>& failure) const;

 protected:
  /// What each process gives, at all of them, in the order of ranks. Common.
  [[nodiscard]] virtual std::vector<Bytes> exchange(std::span<const std::byte> mine) const = 0;

 private:
  mutable bool ended_ = false;  ///< some process ended; nothing is exchanged any more
};

/// This process without others.
[[nodiscard]] const Communicator& alone();

/// A part of the numbers [0, count).
struct Share {
  std::size_t first = 0;  ///< of the part
  std::size_t last = 0;   ///< behind the part
  /// How many.
  [[nodiscard]] std::size_t size() const { return last - first; }
};
/// This process's part of [0, count): the parts of the ranks follow each other, and differ by at
/// most one in size.
[[nodiscard]] Share share_of(const Communicator& ranks, std::size_t count);

}  // namespace lowbit
