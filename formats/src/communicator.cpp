// SPDX-License-Identifier: MIT
#include "lowbit/communicator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "lowbit/evaluate.hpp"

namespace lowbit {
namespace {

/// What a process says in an exchange.
enum class Word : unsigned char { result, failed, ended, ended_failed };

using Bytes = Communicator::Bytes;

Bytes record(Word word, std::span<const std::byte> rest) {
  Bytes out(1 + rest.size());
  out[0] = static_cast<std::byte>(word);
  std::ranges::copy(rest, out.begin() + 1);
  return out;
}

Bytes record(Word word, const Failure& failure) {
  const auto text = std::as_bytes(std::span(failure.text));
  Bytes out(3 + text.size());
  out[0] = static_cast<std::byte>(word);
  out[1] = static_cast<std::byte>(failure.kind);
  out[2] = static_cast<std::byte>(failure.nonfinite);
  std::ranges::copy(text, out.begin() + 3);
  return out;
}

Word word_of(const Bytes& record) {
  return static_cast<Word>(record.at(0));
}
bool has_failed(const Bytes& record) {
  return word_of(record) == Word::failed || word_of(record) == Word::ended_failed;
}
bool has_ended(const Bytes& record) {
  return word_of(record) == Word::ended || word_of(record) == Word::ended_failed;
}

std::optional<Failure> first_failure(const std::vector<Bytes>& records) {
  for (std::size_t r = 0; r < records.size(); ++r) {
    const Bytes& it = records[r];
    if (!has_failed(it)) continue;
    Failure failure{static_cast<ErrorKind>(it.at(1)), it.at(2) != std::byte{0}, {}};
    failure.text.assign(reinterpret_cast<const char*>(it.data()) + 3, it.size() - 3);
    // What a process met by itself, such as a file that only its machine lacks.
    if (word_of(it) == Word::ended_failed && r != 0) {
      failure.text += fmt::format(" (rank {} of {})", r, records.size());
    }
    return failure;
  }
  return std::nullopt;
}

[[noreturn]] void raise(const Failure& failure) {
  if (failure.nonfinite) throw NonFiniteInput(failure.text);
  throw Error(failure.kind, failure.text);
}

class Alone final : public Communicator {
 public:
  [[nodiscard]] std::size_t rank() const override { return 0; }
  [[nodiscard]] std::size_t size() const override { return 1; }
  [[nodiscard]] std::unique_ptr<SharedFile> open_shared(
      const std::filesystem::path& /*path*/) const override {
    return nullptr;
  }

 protected:
  [[nodiscard]] std::vector<Bytes> exchange(std::span<const std::byte> mine) const override {
    return {Bytes(mine.begin(), mine.end())};
  }
};

}  // namespace

Failure failure_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const NonFiniteInput& error) {
    return {error.kind(), true, error.what()};
  } catch (const Error& error) {
    return {error.kind(), false, error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorKind::invalid_input, false,
            "needs more memory than there is; give smaller tensors"};
  } catch (const std::exception& error) {
    return {ErrorKind::internal, false, fmt::format("internal error: {}", error.what())};
  }
}

std::vector<Bytes> Communicator::collect(const std::function<Bytes()>& work) const {
  // What one process throws comes out as it is.
  if (size() == 1) return {work()};
  Bytes mine;
  try {
    mine = record(Word::result, work());
  } catch (const std::exception&) {
    mine = record(Word::failed, failure_of(std::current_exception()));
  }
  std::vector<Bytes> all = exchange(mine);
  for (const Bytes& it : all) ended_ = ended_ || has_ended(it);
  if (const std::optional<Failure> failure = first_failure(all)) raise(*failure);
  if (ended_) {
    throw Error(ErrorKind::internal, "a process ended before the work of all was done");
  }
  for (Bytes& it : all) it.erase(it.begin());
  return all;
}

void Communicator::together(const std::function<void()>& work) const {
  static_cast<void>(collect([&]() -> Bytes {
    work();
    return {};
  }));
}

std::optional<Failure> Communicator::finish(const std::optional<Failure>& failure) const {
  if (ended_ || size() == 1) return failure;
  ended_ = true;
  return first_failure(
      exchange(failure ? record(Word::ended_failed, *failure) : record(Word::ended, Bytes{})));
}

const Communicator& alone() {
  static const Alone communicator;
  return communicator;
}

Share share_of(const Communicator& ranks, std::size_t count) {
  // count * rank / size without the product, which may not fit.
  const std::size_t whole = count / ranks.size();
  const std::size_t rest = count % ranks.size();
  const auto begin = [&](std::size_t rank) { return whole * rank + rest * rank / ranks.size(); };
  return {begin(ranks.rank()), begin(ranks.rank() + 1)};
}

}  // namespace lowbit
