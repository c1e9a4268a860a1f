// SPDX-License-Identifier: MIT
#include "io/checked_json.hpp"

#include <fmt/format.h>

#include <iterator>
#include <set>
#include <vector>

namespace lowbit {
namespace {

using nlohmann::json;

/// Walks the text and reports how far the parser has come.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator() = default;
  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    if (furthest_ != nullptr) *furthest_ = at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_ = nullptr;
  const char** furthest_ = nullptr;
};

/// The pass that builds nothing.
class Checker : public json::json_sax_t {
 public:
  Checker(std::string_view file, std::uint64_t begins_at, std::size_t deepest,
          std::size_t longest_array)
      : file_(file), begins_at_(begins_at), deepest_(deepest), longest_array_(longest_array) {}

  const char* text = nullptr;
  const char* furthest = nullptr;
  std::map<std::string, std::uint64_t> key_offsets;

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!levels_.back().keys.insert(name).second) {
      fail(fmt::format("the key \"{}\" occurs twice", printable(name)));
    }
    if (levels_.size() == 1) key_offsets[name] = here();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text names a line and column; what matters is what it expected.
    const std::string_view what = error.what();
    const std::size_t dash = what.find("syntax error");
    reject({file_, {}, begins_at_ + (position == 0 ? 0 : position - 1)},
           fmt::format("JSON {}", printable(dash == what.npos ? what : what.substr(dash))), remedy);
  }

 private:
  struct Level {
    bool is_array;
    std::size_t values = 0;
    std::set<std::string> keys{};
  };
  static constexpr std::string_view remedy = "write the file again";

  [[nodiscard]] std::uint64_t here() const {
    return begins_at_ + static_cast<std::uint64_t>(furthest - text);
  }
  [[noreturn]] void fail(const std::string& problem) const {
    reject({file_, {}, here()}, problem, remedy);
  }
  bool value() {
    if (!levels_.empty() && levels_.back().is_array && ++levels_.back().values > longest_array_) {
      fail(fmt::format("a JSON array of more than {} values", longest_array_));
    }
    return true;
  }
  bool open(bool is_array) {
    value();
    if (levels_.size() == deepest_)
      fail(fmt::format("JSON nested deeper than {} levels", deepest_));
    levels_.push_back({is_array});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::string_view file_;
  std::uint64_t begins_at_;
  std::size_t deepest_;
  std::size_t longest_array_;
  std::vector<Level> levels_;
};

}  // namespace

CheckedJson parse_json(std::string_view text, std::string_view file, std::uint64_t begins_at,
                       std::size_t deepest, std::size_t longest_array) {
  Checker checker(file, begins_at, deepest, longest_array);
  checker.text = checker.furthest = text.data();
  json::sax_parse(CountingIterator(text.data(), &checker.furthest),
                  CountingIterator(text.data() + text.size(), nullptr), &checker);
  return {json::parse(text), std::move(checker.key_offsets)};
}

}  // namespace lowbit
