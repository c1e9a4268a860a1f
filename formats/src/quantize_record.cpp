// SPDX-License-Identifier: MIT
#include "lowbit/quantize_record.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

constexpr std::string_view hadamard_key = "hadamard";
constexpr std::string_view code_layout_rows = "rows";
/// Longer than any name; bounds what a file can make a message or a record hold.
constexpr std::size_t longest_name = 64;
constexpr std::size_t most_entries = 64;

template <typename T>
struct Named {
  T value;
  std::string_view name;
};
constexpr std::array<Named<NonFinite>, 3> policies{{{NonFinite::error, "error"},
                                                    {NonFinite::saturate, "saturate"},
                                                    {NonFinite::propagate, "propagate"}}};
constexpr std::array<Named<ElementRounding>, 3> roundings{
    {{ElementRounding::nearest, "nearest"},
     {ElementRounding::stochastic, "stochastic"},
     {ElementRounding::stochastic_unbiased, "stochastic_unbiased"}}};

template <typename T, std::size_t n>
std::string_view name_in(const std::array<Named<T>, n>& table, T value) {
  return std::find_if(table.begin(), table.end(), [&](const auto& e) { return e.value == value; })
      ->name;
}

template <typename T, std::size_t n>
std::optional<T> find_in(const std::array<Named<T>, n>& table, std::string_view name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& e) { return e.name == name; });
  return found == table.end() ? std::nullopt : std::optional(found->value);
}

/// The texts of one tensor, with messages that name file, tensor and key.
class Texts {
 public:
  Texts(const std::map<std::string, std::string>& metadata, const std::string& name,
        const std::string& file)
      : metadata_(metadata), name_(name), file_(file) {}

  [[noreturn]] void fail(std::string_view key, const std::string& what) const {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: {}.{}: {}", printable(file_), printable(name_), key, what));
  }
  [[noreturn]] void reject(std::string_view key, const std::string& wanted) const {
    fail(key, fmt::format("'{:.40}' is not {}", printable(*find(key)), wanted));
  }

  [[nodiscard]] const std::string* find(std::string_view key) const {
    const auto found = metadata_.find(fmt::format("{}.{}", name_, key));
    return found == metadata_.end() ? nullptr : &found->second;
  }

  /// Sets `value` to what `parse` makes of the text, where there is one.
  template <typename T, typename Parse>
  void read(std::string_view key, T& value, const std::string& wanted, const Parse& parse) const {
    const std::string* text = find(key);
    if (text == nullptr) return;
    const auto parsed = parse(*text);
    if (!parsed) reject(key, wanted);
    value = *parsed;
  }

 private:
  const std::map<std::string, std::string>& metadata_;
  const std::string& name_;
  const std::string& file_;
};

constexpr const char* wanted_truth = "true or false";
std::optional<bool> truth_of(const std::string& text) {
  if (text != "true" && text != "false") return std::nullopt;
  return text == "true";
}

template <typename T>
std::optional<T> number(const std::string& text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  return failure == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

std::optional<float> positive_number(const std::string& text) {
  const std::optional<float> value = number<float>(text);
  return value && std::isfinite(*value) && *value > 0.0F ? value : std::nullopt;
}

std::optional<std::string> plain_name(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  return plain && !text.empty() && text.size() <= longest_name ? std::optional(text) : std::nullopt;
}

/// A JSON list of at most 64 entries, each through `entry`, which gives nullopt for a wrong one.
template <typename T, typename Entry>
std::optional<std::vector<T>> list(const std::string& text, const Entry& entry) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array() || json.size() > most_entries) return std::nullopt;
  std::vector<T> values;
  for (const nlohmann::json& each : json) {
    std::optional<T> value = entry(each);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return values;
}

std::optional<std::vector<std::uint64_t>> dimensions(const std::string& text) {
  return list<std::uint64_t>(text, [](const nlohmann::json& n) {
    return n.is_number_unsigned() ? std::optional(n.get<std::uint64_t>()) : std::nullopt;
  });
}

/// A plain name with values behind colons, such as "smooth:0.5".
std::optional<std::string> transform_name(const std::string& text) {
  std::string plain = text;
  std::replace_if(
      plain.begin(), plain.end(), [](char c) { return c == ':' || c == '.'; }, '_');
  return plain_name(plain) ? std::optional(text) : std::nullopt;
}

std::optional<std::vector<std::string>> names(const std::string& text) {
  return list<std::string>(text, [](const nlohmann::json& n) {
    return n.is_string() ? transform_name(n.get<std::string>()) : std::nullopt;
  });
}

/// Turns a lookup that returns a pointer into one that returns an optional.
template <typename Record>
std::optional<const Record*> as_optional(const Record* record) {
  return record == nullptr ? std::nullopt : std::optional(record);
}

/// The text of a value; nullopt for one that is not written.
template <typename Record>
std::optional<std::string> text_of(const Record* record) {
  return record == nullptr ? std::nullopt : std::optional(std::string(record->name));
}
std::optional<std::string> text_of(bool value) {
  return value ? "true" : "false";
}
std::optional<std::string> text_of(int value) {
  return std::to_string(value);
}
std::optional<std::string> text_of(float value) {
  return fmt::format("{}", value);
}
std::optional<std::string> text_of(const std::string& value) {
  return value;
}
template <typename Enum>
requires std::is_enum_v<Enum> std::optional<std::string> text_of(Enum value) {
  return std::string(name_of(value));
}
template <typename T>
std::optional<std::string> text_of(const std::vector<T>& values) {
  return nlohmann::json(values).dump();
}
template <typename T>
std::optional<std::string> text_of(const std::optional<T>& value) {
  return value ? text_of(*value) : std::nullopt;
}

/// Every key with its member, what its text must be, and how that is read. `hadamard_key`, which
/// repeats part of `transforms`, is not among them.
template <typename Record, typename Visit>
void each_field(Record& r, const Visit& visit) {
  using Text = const std::string&;
  visit("format", r.format, "a block format; `lowbit formats` lists them",
        [](Text t) { return as_optional(find_block_format(t)); });
  visit("rule", r.rule, "a scale rule", [](Text t) { return find_scale_rule(t); });
  visit("dialect", r.dialect, "a dialect; docs/dialects.md lists them",
        [](Text t) { return as_optional(find_dialect(t)); });
  visit("scale_max", r.scale_max, "a finite positive number", positive_number);
  visit("search_radius", r.search_radius, "an integer", number<int>);
  visit("importance_given", r.importance_given, wanted_truth, truth_of);
  visit("amax_given", r.amax_given, wanted_truth, truth_of);
  visit("axis", r.axis, "an integer", number<int>);
  visit("transposed", r.transposed, wanted_truth, truth_of);
  visit("block_2d", r.block_2d, wanted_truth, truth_of);
  visit("code_layout", r.code_layout, "rows, the only layout that this version reads",
        [](Text t) { return t == code_layout_rows ? std::optional(t) : std::nullopt; });
  visit("scale_layout", r.scale_layout, "linear or swizzled",
        [](Text t) { return find_scale_layout(t); });
  visit("weight_layout", r.weight_layout, "a plain name", plain_name);
  visit("nonfinite", r.nonfinite, "error, saturate or propagate",
        [](Text t) { return find_nonfinite(t); });
  visit("rounding", r.rounding, "nearest, stochastic or stochastic_unbiased",
        [](Text t) { return find_element_rounding(t); });
  visit("transforms", r.transforms, "a JSON list of plain names", names);
  visit("shape", r.shape, "a JSON list of dimensions", dimensions);
  visit("dtype", r.dtype, "a dtype", [](Text t) { return as_optional(find_dtype(t)); });
}

}  // namespace

std::string_view name_of(NonFinite policy) {
  return name_in(policies, policy);
}
std::optional<NonFinite> find_nonfinite(std::string_view name) {
  return find_in(policies, name);
}
std::string_view name_of(ElementRounding rounding) {
  return name_in(roundings, rounding);
}
std::optional<ElementRounding> find_element_rounding(std::string_view name) {
  return find_in(roundings, name);
}

bool QuantizeRecord::is_hadamard_transformed() const {
  return std::find(transforms.begin(), transforms.end(), hadamard_key) != transforms.end();
}

QuantizeRecord record_of(const QuantizeOptions& request) {
  QuantizeRecord record;
  record.format = request.format;
  if (request.dialect != nullptr) record.dialect = request.dialect;
  record.rule = request.rule.value_or(default_rule(*request.format, request.dialect));
  record.scale_max = request.scale_max;
  if (request.search_radius != 0) record.search_radius = request.search_radius;
  if (!request.importance.empty()) record.importance_given = true;
  record.amax_given = request.amax.has_value();
  record.block_2d = request.block_2d;
  record.nonfinite = request.nonfinite;
  record.rounding = request.rounding;
  for (const auto& transform : request.transforms) record.transforms.push_back(transform->name());
  return record;
}

QuantizeOptions request_of(const QuantizeRecord& record, float amax) {
  QuantizeOptions request;
  request.format = record.format;
  request.dialect = record.dialect;
  request.rule = record.rule;
  request.scale_max = record.scale_max;
  request.search_radius = record.search_radius.value_or(0);
  if (record.importance_given.value_or(false)) {
    throw Error(ErrorKind::usage,
                "its columns were weighted by an importance that the file does not hold; the bytes "
                "cannot be computed again");
  }
  if (record.amax_given) request.amax = amax;
  request.block_2d = record.block_2d;
  request.nonfinite = record.nonfinite;
  request.rounding = record.rounding;
  for (const std::string& name : record.transforms) {
    request.transforms.push_back(find_transform(name));
    if (request.transforms.back() != nullptr) continue;
    throw Error(ErrorKind::usage,
                fmt::format("transforms [{}]: '{}' depends on more than the weights, or is of "
                            "another version of lowbit; the bytes cannot be computed again",
                            fmt::join(record.transforms, ", "), name));
  }
  return request;
}

bool is_record_key(std::string_view key) {
  QuantizeRecord record;
  bool found = key == hadamard_key;
  each_field(record, [&](std::string_view name, auto&&...) { found = found || key == name; });
  return found;
}

QuantizeRecord read_quantize_record(const std::map<std::string, std::string>& metadata,
                                    const std::string& name, const std::string& file) {
  const Texts texts(metadata, name, file);
  if (texts.find("format") == nullptr) {
    texts.fail("format", "missing from the file's metadata; write the file with `lowbit quantize`");
  }
  QuantizeRecord record;
  each_field(record, [&](std::string_view key, auto& value, const char* wanted, const auto& parse) {
    texts.read(key, value, wanted, parse);
  });
  bool transformed = false;
  texts.read(hadamard_key, transformed, wanted_truth, truth_of);
  if (texts.find("transforms") == nullptr) {
    if (transformed) record.transforms.emplace_back(hadamard_key);
  } else if (texts.find(hadamard_key) != nullptr &&
             transformed != record.is_hadamard_transformed()) {
    texts.reject("transforms", fmt::format("what NAME.{} says, {}", hadamard_key, transformed));
  }
  return record;
}

void write_quantize_record(const QuantizeRecord& record, const std::string& name,
                           std::map<std::string, std::string>& metadata) {
  const auto put = [&](std::string_view key, const std::optional<std::string>& text) {
    if (text) metadata[fmt::format("{}.{}", name, key)] = *text;
  };
  each_field(record,
             [&](std::string_view key, const auto& value, auto&&...) { put(key, text_of(value)); });
  put(hadamard_key, text_of(record.is_hadamard_transformed()));
}

}  // namespace lowbit
