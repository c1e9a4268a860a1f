// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "io/error_text.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto refuse = [&](const OutputTensor& tensor, std::string_view problem) {
    throw Error(ErrorKind::usage, fmt::format("{}: tensor \"{}\": {}", printable(path.string()),
                                              printable(tensor.name), problem));
  };
  std::vector<const OutputTensor*> order;
  std::set<std::string_view> names;
  for (const OutputTensor& tensor : tensors) {
    if (tensor.name.empty() || tensor.name == "__metadata__") refuse(tensor, "a reserved name");
    if (!names.insert(tensor.name).second) refuse(tensor, "named twice");
    if (tensor.dtype == nullptr || tensor.dtype->name.starts_with("GGML_")) {
      refuse(tensor, "safetensors has no such dtype");
    }
    if (byte_size(*tensor.dtype, tensor.shape) != tensor.bytes.size()) {
      refuse(tensor, "its bytes do not fit its shape");
    }
    order.push_back(&tensor);
  }
  // Widest elements first: after a header of a multiple of 8 bytes every tensor is then aligned.
  std::sort(order.begin(), order.end(), [](const OutputTensor* a, const OutputTensor* b) {
    const double wide_a = a->dtype->bits_per_element();
    const double wide_b = b->dtype->bits_per_element();
    return wide_a != wide_b ? wide_a > wide_b : a->name < b->name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) {
    for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  }
  std::uint64_t end = 0;
  for (const OutputTensor* tensor : order) {
    const std::uint64_t begin = end;
    end += tensor->bytes.size();
    auto& entry = header[tensor->name];
    entry["dtype"] = tensor->dtype->name;
    entry["shape"] = tensor->shape;
    entry["data_offsets"] = {begin, end};
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

  OutputFile file(path);
  file.write(length);
  file.write(text);
  for (const OutputTensor* tensor : order) file.write(tensor->bytes);
  file.commit();
}

}  // namespace lowbit
