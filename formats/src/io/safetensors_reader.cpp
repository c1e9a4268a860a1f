// SPDX-License-Identifier: MIT
// safetensors: 8 bytes of header length, little-endian; a JSON object; the tensors' bytes, which
// cover the rest of the file without holes or overlaps.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "io/checked_json.hpp"
#include "io/readers.hpp"

namespace lowbit {
namespace {

using nlohmann::json;
constexpr std::uint64_t length_bytes = 8;
constexpr std::uint64_t largest_header = 100'000'000;  // the limit of the reference implementation
constexpr std::string_view again = "write the file again";

std::uint64_t unsigned_at(const json& value, const Place& place, std::string_view what) {
  if (!value.is_number_unsigned()) {
    reject(place, fmt::format("{} holds something that is not an integer of 0 to 2^64 - 1", what),
           again);
  }
  return value.get<std::uint64_t>();
}

TensorInfo tensor_of(const std::string& name, const json& entry, const Place& place,
                     std::span<const std::byte> data, std::uint64_t data_begins) {
  if (!entry.is_object()) reject(place, "not a JSON object", again);
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!entry.contains(key)) reject(place, fmt::format("lacks {}", key), again);
  }
  if (entry.size() != 3) {
    reject(place, "has keys beside dtype, shape and data_offsets", again);
  }
  if (!entry["dtype"].is_string()) reject(place, "dtype is not a string", again);
  TensorInfo tensor;
  tensor.name = name;
  tensor.file = place.file;
  const auto& dtype_name = entry["dtype"].get_ref<const std::string&>();
  tensor.dtype = dtype_name.starts_with("GGML_") ? nullptr : find_dtype(dtype_name);
  if (tensor.dtype == nullptr) {
    reject(place, fmt::format("unknown dtype \"{}\"", printable(dtype_name)), "convert the tensor");
  }
  if (!entry["shape"].is_array()) reject(place, "shape is not an array", again);
  for (const json& n : entry["shape"]) tensor.shape.push_back(unsigned_at(n, place, "shape"));
  const std::optional<std::uint64_t> size = byte_size(*tensor.dtype, tensor.shape);
  if (!size) {
    reject(place, "shape overflows 64 bits or does not fill whole bytes", again);
  }
  const json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) {
    reject(place, "data_offsets is not an array of two", again);
  }
  const std::uint64_t begin = unsigned_at(offsets[0], place, "data_offsets");
  const std::uint64_t end = unsigned_at(offsets[1], place, "data_offsets");
  if (begin > end || end > data.size()) {
    reject(place,
           fmt::format("data_offsets {}..{} leave the {} bytes of data", begin, end, data.size()),
           "the file is truncated or damaged: fetch it again");
  }
  if (end - begin != *size) {
    reject(place,
           fmt::format("shape and dtype take {} bytes, data_offsets hold {}", *size, end - begin),
           again);
  }
  tensor.bytes = data.subspan(begin, end - begin);
  tensor.offset = data_begins + begin;
  return tensor;
}

/// The tensors' bytes must be the whole of the data, each byte once.
void check_coverage(const std::vector<TensorInfo>& tensors, const std::string& file,
                    std::uint64_t data_begins, std::uint64_t data_ends) {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes.size() < b->bytes.size();
  });
  std::uint64_t expected = data_begins;
  for (const TensorInfo* tensor : order) {
    if (tensor->offset < expected) {
      reject({file, tensor->name, tensor->offset}, "its bytes overlap those of another tensor",
             again);
    }
    if (tensor->offset > expected) {
      reject({file, tensor->name, expected}, "bytes before it belong to no tensor", again);
    }
    expected += tensor->bytes.size();
  }
  if (expected != data_ends)
    reject({file, {}, expected}, "bytes at the end belong to no tensor", again);
}

}  // namespace

void read_safetensors(TensorFile::Contents& contents, const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < length_bytes) {
    reject({file.name(), {}, bytes.size()}, "ends inside the 8 bytes of header length",
           "the file is truncated: fetch it again");
  }
  std::uint64_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  if (length > largest_header) {
    reject({file.name(), {}, 0},
           fmt::format("a header of {} bytes, more than {}", length, largest_header),
           "is it a safetensors file?");
  }
  if (length > bytes.size() - length_bytes) {
    reject({file.name(), {}, 0},
           fmt::format("a header of {} bytes in a file of {}", length, bytes.size()),
           "the file is truncated: fetch it again");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + length_bytes, length);
  const CheckedJson header = parse_json(text, file.name(), length_bytes, 3, 64);
  if (!header.value.is_object()) {
    reject({file.name(), {}, length_bytes}, "the header is not a JSON object",
           "is it a safetensors file?");
  }
  const std::uint64_t data_begins = length_bytes + length;
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : header.value.items()) {
    const Place place{file.name(), name, header.key_offsets.at(name)};
    if (name == "__metadata__") {
      if (entry.is_null()) continue;  // MLX writes null where there are none
      if (!entry.is_object()) reject(place, "not a JSON object", again);
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string())
          reject(place, fmt::format("\"{}\" is not a string", printable(key)), again);
        contents.metadata.emplace(key, value.get<std::string>());
      }
      continue;
    }
    tensors.push_back(tensor_of(name, entry, place, bytes.subspan(data_begins), data_begins));
  }
  check_coverage(tensors, file.name(), data_begins, bytes.size());
  for (TensorInfo& tensor : tensors) contents.tensors.push_back(std::move(tensor));
}

void read_safetensors_index(TensorFile::Contents& contents, const MappedFile& file) {
  namespace fs = std::filesystem;
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const CheckedJson index = parse_json(text, file.name(), 0, 16, 1'000'000);
  if (!index.value.is_object() || !index.value.contains("weight_map") ||
      !index.value["weight_map"].is_object()) {
    reject({file.name(), {}, 0}, "no object \"weight_map\"", "is it a safetensors index?");
  }
  std::map<std::string, std::vector<std::string>> shards;
  const std::uint64_t at = index.key_offsets.at("weight_map");
  for (const auto& [name, shard] : index.value["weight_map"].items()) {
    const Place place{file.name(), name, at};
    if (!shard.is_string()) reject(place, "its shard is not a string", again);
    const auto& shard_name = shard.get_ref<const std::string&>();
    // Shards lie beside their index; a name that leads elsewhere is an attack or a mistake.
    if (shard_name.empty() || fs::path(shard_name).filename() != fs::path(shard_name) ||
        shard_name == "." || shard_name == ".." || shard_name.find('\0') != shard_name.npos) {
      reject(place, fmt::format("shard \"{}\" is not a plain file name", printable(shard_name)),
             "put the shards beside the index");
    }
    shards[shard_name].push_back(name);
  }
  const fs::path folder = fs::path(file.name()).parent_path();
  for (const auto& [shard, names] : shards) {
    const fs::path path = folder / shard;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      reject({file.name(), names.front(), at},
             fmt::format("its shard {} is missing", printable(shard)), "fetch the shard");
    }
    TensorFile::Contents part;
    read_safetensors(part, contents.map(path));
    std::set<std::string_view> held;
    for (const TensorInfo& tensor : part.tensors) held.insert(tensor.name);
    for (const std::string& name : names) {
      if (!held.contains(name)) {
        reject({file.name(), name, at}, fmt::format("shard {} does not hold it", printable(shard)),
               "index and shards belong to different checkpoints: fetch both again");
      }
    }
    for (TensorInfo& tensor : part.tensors) {
      // Tensors that the index places elsewhere, or not at all, are not part of the checkpoint.
      const auto entry = index.value["weight_map"].find(tensor.name);
      if (entry == index.value["weight_map"].end() || *entry != shard) continue;
      contents.tensors.push_back(std::move(tensor));
    }
    contents.metadata.merge(part.metadata);
  }
  std::sort(contents.tensors.begin(), contents.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
}

}  // namespace lowbit
