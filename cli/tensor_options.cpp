// SPDX-License-Identifier: MIT
#include "tensor_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "lowbit/error.hpp"
#include "lowbit/quantize_record.hpp"

namespace lowbit::cli {
namespace {

[[noreturn]] void unknown(const char* what, const std::string& name,
                          const std::vector<std::string>& known) {
  throw Error(ErrorKind::usage,
              fmt::format("unknown {} '{}'; there are {}", what, name, fmt::join(known, ", ")));
}

std::vector<std::uint64_t> parse_shape(const std::string& text) {
  std::vector<std::uint64_t> shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::uint64_t n = 0;
    const auto [stop, error] = std::from_chars(at, end, n);
    const bool separated = stop == end || *stop == 'x' || *stop == ',';
    if (error != std::errc{} || !separated || (stop != end && stop + 1 == end)) {
      throw Error(ErrorKind::usage,
                  fmt::format("--shape {}: not dimensions such as 128x256", text));
    }
    shape.push_back(n);
    at = stop == end ? end : stop + 1;
  }
  return shape;
}

std::vector<std::regex> compiled(const std::vector<std::string>& texts, const char* option) {
  std::vector<std::regex> expressions;
  for (const std::string& text : texts) {
    try {
      expressions.emplace_back(text, std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} {}: not a regular expression: {}", option, text, error.what()));
    }
  }
  return expressions;
}

}  // namespace

void RawOptions::add_to(CLI::App& command) {
  command
      .add_option("--dtype", dtype_,
                  "Read raw binary of this type: F64, F32, F16, BF16, F8_E4M3, ...")
      ->type_name("TYPE");
  command.add_option("--shape", shape_, "Shape of the raw binary tensor, as 128x256")
      ->type_name("DIMS");
}

std::optional<RawLayout> RawOptions::layout() const {
  if (dtype_.empty() && shape_.empty()) return std::nullopt;
  if (dtype_.empty() || shape_.empty()) {
    throw Error(ErrorKind::usage, "raw binary needs both --dtype and --shape");
  }
  return RawLayout{&dtype_named(dtype_), parse_shape(shape_)};
}

void NameFilter::add_to(CLI::App& command) {
  command
      .add_option("--include", include_text_,
                  "Only tensors whose name has a match of this regular expression (repeatable)")
      ->type_name("RE")
      ->allow_extra_args(false);
  command.add_option("--exclude", exclude_text_, "No tensors whose name has a match (repeatable)")
      ->type_name("RE")
      ->allow_extra_args(false);
}

void NameFilter::compile() {
  include_ = compiled(include_text_, "--include");
  exclude_ = compiled(exclude_text_, "--exclude");
}

bool NameFilter::accepts(const std::string& name) const {
  const auto matches = [&](const std::regex& re) { return std::regex_search(name, re); };
  if (std::any_of(exclude_.begin(), exclude_.end(), matches)) return false;
  return include_.empty() || std::any_of(include_.begin(), include_.end(), matches);
}

void add_axes_option(CLI::App& command, std::vector<std::string>& axes) {
  command
      .add_option("--set", axes,
                  "Another value on an axis of the dialect, as axis=value (repeatable); `lowbit "
                  "dialects NAME` lists the axes")
      ->type_name("AXIS=VALUE")
      ->allow_extra_args(false);
}

std::string dialect_with(const std::string& name, const std::vector<std::string>& axes) {
  std::string text = name;
  for (const std::string& axis : axes) text += "+" + axis;
  return text;
}

NonFinite nonfinite_named(const std::string& name) {
  if (const std::optional<NonFinite> policy = find_nonfinite(name)) return *policy;
  unknown("policy for --nonfinite", name, {"error", "saturate", "propagate"});
}

float scale_max_named(const std::string& text, const BlockFormat& format) {
  float value = 0.0F;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_number = error == std::errc{} && stop == end;
  // A format without such a scale is refused with the request.
  if (is_number && format.family() != ScaleFamily::nv) return value;
  if (is_number && is_valid_scale_max(format, value)) return value;
  std::string scale(format.scale->name);
  for (char& c : scale) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  unknown((scale + " maximum").c_str(), text,
          {fmt::format("{}", format.largest_scale()), fmt::format("{}", format.headroom_scale())});
}

const Dtype& dtype_named(const std::string& name) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const Dtype* dtype = find_dtype(upper);
  if (dtype != nullptr && !upper.starts_with("GGML_")) return *dtype;
  std::vector<std::string> known;
  for (const Dtype& d : dtypes()) {
    if (d.is_float() && !d.name.starts_with("GGML_")) known.emplace_back(d.name);
  }
  unknown("dtype", name, known);
}

}  // namespace lowbit::cli
