// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "io/error_text.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/safetensors_stream.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, std::string_view name,
                         std::string_view problem) {
  throw Error(ErrorKind::usage, fmt::format("{}: tensor \"{}\": {}", printable(path.string()),
                                            printable(name), problem));
}

std::vector<TensorPlace> places_of(std::span<const OutputTensor> tensors) {
  std::vector<TensorPlace> places;
  for (const OutputTensor& t : tensors) places.push_back({t.name, t.dtype, t.shape});
  return places;
}

}  // namespace

SafetensorsStream::SafetensorsStream(const std::filesystem::path& path,
                                     std::span<const TensorPlace> tensors,
                                     const std::map<std::string, std::string>& metadata,
                                     const Communicator& ranks)
    : ranks_(ranks), ranges_(tensors.size()) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorPlace& tensor = tensors[i];
    if (tensor.name.empty() || tensor.name == "__metadata__") {
      refuse(path, tensor.name, "a reserved name");
    }
    if (!names.insert(tensor.name).second) refuse(path, tensor.name, "named twice");
    if (tensor.dtype == nullptr || tensor.dtype->name.starts_with("GGML_")) {
      refuse(path, tensor.name, "safetensors has no such dtype");
    }
    const std::optional<std::uint64_t> size = byte_size(*tensor.dtype, tensor.shape);
    if (!size) refuse(path, tensor.name, "its bytes do not fit its shape");
    ranges_[i].size = *size;
  }
  // Widest elements first: after a header of a multiple of 8 bytes every tensor is then aligned.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double wide_a = tensors[a].dtype->bits_per_element();
    const double wide_b = tensors[b].dtype->bits_per_element();
    return wide_a != wide_b ? wide_a > wide_b : tensors[a].name < tensors[b].name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) {
    for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  }
  for (const std::size_t i : order) {
    ranges_[i].begin = end_;
    end_ += ranges_[i].size;
    auto& entry = header[tensors[i].name];
    entry["dtype"] = tensors[i].dtype->name;
    entry["shape"] = tensors[i].shape;
    entry["data_offsets"] = {ranges_[i].begin, end_};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: a name or metadata value is not UTF-8; rename it",
                            printable(path.string())));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::array<std::byte, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i) length[i] = std::byte(text.size() >> (8 * i));
  const std::uint64_t data = length.size() + text.size();
  for (Range& range : ranges_) range.begin += data;
  end_ += data;
  const auto temporary = ranks_.gather<char>([&]() -> std::vector<char> {
    if (ranks_.rank() != 0) return {};
    file_.emplace(path);
    file_->write(length);
    file_->write(text);
    // Bytes that are never written are part of the file, too.
    file_->extend(end_);
    return {file_->temporary().begin(), file_->temporary().end()};
  });
  shared_ = ranks_.open_shared(std::string(temporary.begin(), temporary.end()));
}

void SafetensorsStream::write(std::size_t tensor, std::uint64_t offset,
                              std::span<const std::byte> bytes) const {
  const Range& range = ranges_[tensor];
  if (offset > range.size || bytes.size() > range.size - offset) {
    throw Error(ErrorKind::internal, fmt::format("{} bytes at {} of a tensor of {} bytes",
                                                 bytes.size(), offset, range.size));
  }
  // What is copied from a mapped file is read here.
  constexpr std::size_t step = std::size_t{1} << 20;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const auto part = bytes.subspan(at, std::min(step, bytes.size() - at));
    if (shared_) {
      shared_->write_at(range.begin + offset + at, part);
    } else {
      file_->write_at(range.begin + offset + at, part);
    }
    note_read(part);
  }
}

void SafetensorsStream::commit() {
  if (shared_) ranks_.together([&] { shared_->close(); });
  // Renamed when all of them have written.
  ranks_.together([&] {
    if (file_) file_->commit();
  });
}

void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  for (const OutputTensor& tensor : tensors) {
    if (tensor.dtype != nullptr && byte_size(*tensor.dtype, tensor.shape) != tensor.bytes.size()) {
      refuse(path, tensor.name, "its bytes do not fit its shape");
    }
  }
  SafetensorsStream file(path, places_of(tensors), metadata);
  for (std::size_t i = 0; i < tensors.size(); ++i) file.write(i, 0, tensors[i].bytes);
  file.commit();
}

}  // namespace lowbit
