// SPDX-License-Identifier: MIT
#include "lowbit/dump_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

std::span<const std::uint8_t> bytes_of(const TensorInfo& tensor) {
  return {reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size()};
}

std::optional<std::size_t> number(const std::map<std::string, std::string>& metadata,
                                  const std::string& key, const std::string& path) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  std::size_t value = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [stop, failure] = std::from_chars(found->second.data(), end, value);
  if (failure != std::errc{} || stop != end || found->second.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: {}: '{:.40}' is not a number of the kind needed", path,
                            printable(key), printable(found->second)));
  }
  return value;
}

/// The names of the file's tensors, as many as fit a line.
std::string held_names(const TensorFile& file) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) {
    if (names.size() == 8) {
      names.emplace_back("...");
      break;
    }
    names.push_back(printable(tensor.name));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

DeclaredDump read_dump(const TensorFile& file, const std::filesystem::path& path,
                       const std::string& name, const DumpNames& names) {
  DeclaredDump d;
  d.dump.name = name;
  auto metadata = file.metadata();
  const auto declares = [&](const char* key) { return metadata.contains(name + "." + key); };
  const bool has_format = declares("format");
  const bool has_rule = declares("rule");
  const bool has_dialect = declares("dialect");
  // The record's reader wants a format; which one does not matter for the other keys.
  if (!has_format) metadata[name + ".format"] = "nvfp4";
  d.record = read_quantize_record(metadata, name, path.string());
  const auto constant = metadata.find(name + ".encode_constant");
  if (constant != metadata.end()) {
    float value = 0.0F;
    const char* const end = constant->second.data() + constant->second.size();
    const auto [stop, failure] = std::from_chars(constant->second.data(), end, value);
    if (failure != std::errc{} || stop != end || !std::isfinite(value) || !(value > 0)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: {}: '{:.40}' is not a finite positive number", path.string(),
                              printable(constant->first), printable(constant->second)));
    }
  }
  d.rows = number(metadata, name + ".rows", path.string());
  d.columns = number(metadata, name + ".columns", path.string());

  const std::string values_name = names.values.empty() ? name + ".values" : names.values;
  const std::string scales_name = names.scales.empty() ? name + ".scales" : names.scales;
  const std::string scale_name = names.tensor_scale.empty() ? name + ".amax" : names.tensor_scale;
  const TensorInfo* const values = file.find(values_name);
  const TensorInfo* const scales = file.find(scales_name);
  const TensorInfo* const scale = file.find(scale_name);
  std::vector<std::string> missing;
  if (values == nullptr)
    missing.push_back(fmt::format("codes ({}; --values)", printable(values_name)));
  // Scale bytes may be fused with the codes, and a tensor scale need not be there.
  if (scales == nullptr && (values == nullptr || !names.scales.empty() || names.values.empty())) {
    missing.push_back(fmt::format("scale bytes ({}; --scales)", printable(scales_name)));
  }
  if (scale == nullptr && (!names.tensor_scale.empty() || !missing.empty())) {
    missing.push_back(fmt::format("tensor scale ({}; --tensor-scale)", printable(scale_name)));
  }
  if (!missing.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: tensor \"{}\" has no {}; name its parts; the file holds {}",
                            printable(path.string()), printable(name), fmt::join(missing, ", no "),
                            held_names(file)));
  }
  d.dump.values = bytes_of(*values);
  if (scales != nullptr) {
    d.dump.scales = bytes_of(*scales);
    d.dump.scale_shape = scales->shape;
  }
  if (scale != nullptr) {
    if (scale->elements() != 1 || !scale->dtype->is_float()) {
      throw Error(
          ErrorKind::invalid_input,
          fmt::format("{}: {}: {} {} elements where one float is needed", printable(path.string()),
                      printable(scale->name), scale->elements(), scale->dtype->name));
    }
    d.dump.tensor_scale = to_f32(*scale).at(0);
  }

  d.request.declared = request_of(d.record, d.dump.tensor_scale.value_or(1.0F));
  if (!has_format) d.request.declared.format = nullptr;
  if (!has_rule) d.request.declared.rule.reset();
  if (!has_dialect) d.request.declared.dialect = nullptr;
  // A file with a record lies as lowbit writes it; any other file says nothing of its layout.
  if (has_format) {
    Layout layout;
    layout.scales = d.record.scale_layout;
    d.request.layout = layout;
  } else {
    d.request.tensor_scale_declared = false;
  }
  return d;
}

}  // namespace lowbit
