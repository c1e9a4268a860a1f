// SPDX-License-Identifier: MIT
#include "lowbit/block_tensor_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <deque>
#include <string_view>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

/// One tensor's entries, with messages that name file and entry.
class Reader {
 public:
  Reader(const TensorFile& file, const std::filesystem::path& path, std::string name)
      : file_(file), path_(path.string()), name_(std::move(name)) {}

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: {}.{}: {}", path_, printable(name_), key, what));
  }

  [[nodiscard]] const std::string* text(const std::string& key) const {
    const auto& metadata = file_.metadata();
    const auto found = metadata.find(name_ + "." + key);
    return found == metadata.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::string& required_text(const std::string& key) const {
    const std::string* found = text(key);
    if (found == nullptr) {
      fail(key, "missing from the file's metadata; write the file with `lowbit quantize`");
    }
    return *found;
  }

  template <typename T>
  [[nodiscard]] T number(const std::string& key, const std::string& from) const {
    T value{};
    const char* const end = from.data() + from.size();
    const auto [stop, failure] = std::from_chars(from.data(), end, value);
    if (failure != std::errc{} || stop != end || from.empty()) {
      fail(key, fmt::format("'{:.40}' is not a number of the kind needed", printable(from)));
    }
    return value;
  }

  [[nodiscard]] const TensorInfo& entry(const std::string& key, const Dtype& dtype) const {
    const TensorInfo* found = file_.find(name_ + "." + key);
    if (found == nullptr) fail(key, "missing; write the file with `lowbit quantize`");
    if (*found->dtype != dtype) {
      fail(key, fmt::format("dtype {} where {} is needed", found->dtype->name, dtype.name));
    }
    return *found;
  }

  [[nodiscard]] std::span<const std::byte> bytes(const std::string& key, std::uint64_t expected,
                                                 const std::string& why) const {
    const TensorInfo& info = entry(key, dtype_u8);
    if (info.bytes.size() != expected) {
      fail(key, fmt::format("{} bytes where {} needs {}", info.bytes.size(), why, expected));
    }
    return info.bytes;
  }

 private:
  const TensorFile& file_;
  std::string path_;
  std::string name_;
};

/// Keys of the matrix itself; the others are the record's, or attributes.
bool is_matrix_key(std::string_view key) {
  return key == "rows" || key == "columns" || key == "encode_constant";
}

}  // namespace

std::vector<std::string> block_tensor_names(const TensorFile& file) {
  std::vector<std::string> names;
  constexpr std::string_view suffix = ".values";
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensor.name.ends_with(suffix)) continue;
    std::string name = tensor.name.substr(0, tensor.name.size() - suffix.size());
    if (file.metadata().contains(name + ".format")) names.push_back(std::move(name));
  }
  return names;
}

StoredBlockTensor find_block_tensor(const TensorFile& file, const std::filesystem::path& path,
                                    const std::string& wanted) {
  std::string name = wanted;
  if (name.empty()) {
    const std::vector<std::string> names = block_tensor_names(file);
    if (names.size() != 1) {
      throw Error(
          ErrorKind::usage,
          names.empty()
              ? fmt::format("{}: no block-quantized tensor in it; write one with `lowbit "
                            "quantize`",
                            path.string())
              : fmt::format("{}: {} block-quantized tensors in it ({}, {}, ...); name one",
                            path.string(), names.size(), printable(names[0]), printable(names[1])));
    }
    name = names[0];
  }
  const bool found =
      file.find(name + ".values") != nullptr && file.metadata().contains(name + ".format");
  if (!found) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no block-quantized tensor '{}' in it", path.string(), name));
  }

  const Reader reader(file, path, name);
  StoredBlockTensor stored;
  NamedBlockTensor& result = stored.head;
  result.name = name;
  result.record = read_quantize_record(file.metadata(), name, path.string());
  BlockTensor& t = result.tensor;
  t.format = result.record.format;
  t.columns = reader.number<std::size_t>("columns", reader.required_text("columns"));
  // A byte per row at least where there are columns: bounds the products below before they
  // overflow.
  const TensorInfo& values = reader.entry("values", dtype_u8);
  if (const std::string* rows = reader.text("rows")) {
    t.rows = reader.number<std::size_t>("rows", *rows);
  } else {
    t.rows = values.rows();
  }
  // Without columns nothing but this bounds the rows of a product.
  if (t.columns == 0 && t.rows > (std::size_t{1} << 24)) {
    reader.fail("rows", fmt::format("{} rows without a column", t.rows));
  }
  const std::uint64_t held = values.bytes.size();
  if (t.columns != 0 && (t.rows > held || t.columns > 2 * held + 64)) {
    reader.fail("values",
                fmt::format("{} bytes cannot hold {} x {} elements", held, t.rows, t.columns));
  }
  const std::string why = fmt::format("{} x {} of {}", t.rows, t.columns, t.format->name);
  stored.values = reader.bytes("values", t.rows * t.value_bytes_per_row(), why);

  const std::size_t blocks = t.blocks_per_row();
  const ScaleLayout layout = result.record.scale_layout;
  stored.scales = reader.bytes("scales", scale_bytes_of(layout, t.rows, blocks),
                               layout == ScaleLayout::linear
                                   ? why
                                   : fmt::format("{} in the {} layout", why, name_of(layout)));

  const TensorInfo& amax = reader.entry("amax", dtype_f32);
  if (amax.bytes.size() != sizeof(float)) {
    reader.fail("amax", fmt::format("{} elements where one is needed", amax.elements()));
  }
  std::memcpy(&t.amax, amax.bytes.data(), sizeof(float));
  if (!std::isfinite(t.amax) || std::signbit(t.amax)) {
    reader.fail("amax", fmt::format("{} is not a finite number of at least 0", t.amax));
  }
  const std::string* constant = reader.text("encode_constant");
  if (constant != nullptr) {
    t.encode_constant = reader.number<float>("encode_constant", *constant);
  } else if (t.format->family() == ScaleFamily::nv) {
    (void)reader.required_text("encode_constant");
  }
  if (!std::isfinite(t.encode_constant) || !(t.encode_constant > 0)) {
    reader.fail("encode_constant",
                fmt::format("{} is not a finite positive number", t.encode_constant));
  }
  const std::string prefix = name + ".";
  const auto& metadata = file.metadata();
  for (auto it = metadata.lower_bound(prefix);
       it != metadata.end() && it->first.starts_with(prefix); ++it) {
    const std::string rest = it->first.substr(prefix.size());
    if (!is_matrix_key(rest) && !is_record_key(rest)) result.attributes[rest] = it->second;
  }
  return stored;
}

NamedBlockTensor read_block_tensor(const TensorFile& file, const std::filesystem::path& path,
                                   const std::string& name) {
  StoredBlockTensor stored = find_block_tensor(file, path, name);
  const auto copy = [](std::span<const std::byte> bytes) {
    std::vector<std::uint8_t> out(bytes.size());
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size());
    return out;
  };
  BlockTensor& t = stored.head.tensor;
  t.values = copy(stored.values);
  t.scales = linear_scales(stored.head.record.scale_layout, copy(stored.scales), t.rows,
                           t.blocks_per_row());
  return std::move(stored.head);
}

void add_metadata(const NamedBlockTensor& named, std::map<std::string, std::string>& metadata) {
  const BlockTensor& t = named.tensor;
  for (const auto& [key, value] : named.attributes) metadata[named.name + "." + key] = value;
  QuantizeRecord record = named.record;
  record.format = t.format;
  write_quantize_record(record, named.name, metadata);
  metadata[named.name + ".rows"] = std::to_string(t.rows);
  metadata[named.name + ".columns"] = std::to_string(t.columns);
  metadata[named.name + ".encode_constant"] = fmt::format("{}", t.encode_constant);
}

NamedBlockTensor read_block_tensor(const std::filesystem::path& path, const std::string& name) {
  return read_block_tensor(TensorFile::open(path), path, name);
}

void write_block_tensors(const std::filesystem::path& path,
                         std::span<const NamedBlockTensor> tensors,
                         const std::map<std::string, std::string>& metadata,
                         std::span<const OutputTensor> others) {
  std::vector<OutputTensor> entries(others.begin(), others.end());
  std::map<std::string, std::string> texts = metadata;
  std::deque<std::vector<std::uint8_t>> arranged;  // keeps its elements where they are
  for (const NamedBlockTensor& named : tensors) {
    const BlockTensor& t = named.tensor;
    const auto add = [&](const char* key, const Dtype& dtype, std::vector<std::uint64_t> shape,
                         std::span<const std::byte> bytes) {
      entries.push_back({named.name + "." + key, &dtype, std::move(shape), bytes});
    };
    add("values", dtype_u8, {t.rows, t.value_bytes_per_row()}, std::as_bytes(std::span(t.values)));
    if (named.record.scale_layout == ScaleLayout::linear) {
      add("scales", dtype_u8, {t.rows, t.blocks_per_row()}, std::as_bytes(std::span(t.scales)));
    } else {
      arranged.push_back(
          arrange_scales(named.record.scale_layout, t.scales, t.rows, t.blocks_per_row()));
      add("scales", dtype_u8, {arranged.back().size()}, std::as_bytes(std::span(arranged.back())));
    }
    add("amax", dtype_f32, {1}, std::as_bytes(std::span(&t.amax, 1)));
    add_metadata(named, texts);
  }
  write_safetensors(path, entries, texts);
}

}  // namespace lowbit
