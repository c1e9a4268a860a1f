// SPDX-License-Identifier: MIT
#include "checkpoint/gguf_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "io/gguf_types.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::detail {
namespace {

constexpr std::uint64_t alignment = 32;
constexpr std::uint32_t version = 3;
constexpr std::uint32_t string_type = 8;

template <typename T>
void put(std::string& text, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    text += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFF);
  }
}
void put_string(std::string& text, std::string_view value) {
  put(text, std::uint64_t{value.size()});
  text += value;
}
std::uint64_t aligned(std::uint64_t size) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

void write_gguf(const std::filesystem::path& path, std::span<const OutputTensor> tensors) {
  std::string header = "GGUF";
  put(header, version);
  put(header, std::uint64_t{tensors.size()});
  put(header, std::uint64_t{1});
  put_string(header, "general.quantized_by");
  put(header, string_type);
  put_string(header, "lowbit");
  std::uint64_t offset = 0;
  for (const OutputTensor& tensor : tensors) {
    const auto type = ggml_number_of(*tensor.dtype);
    if (!type || tensor.shape.size() > 4) {
      throw Error(
          ErrorKind::usage,
          fmt::format("{}: tensor \"{}\": GGUF cannot hold {} of {} dimensions; leave it out "
                      "or convert it",
                      printable(path.string()), printable(tensor.name), tensor.dtype->name,
                      tensor.shape.size()));
    }
    put_string(header, tensor.name);
    put(header, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto n = tensor.shape.rbegin(); n != tensor.shape.rend(); ++n) put(header, *n);
    put(header, *type);
    put(header, offset);
    offset += aligned(tensor.bytes.size());
  }
  header.resize(aligned(header.size()), '\0');
  OutputFile file(path);
  file.write(header);
  for (const OutputTensor& tensor : tensors) {
    file.write(tensor.bytes);
    file.write(std::string(aligned(tensor.bytes.size()) - tensor.bytes.size(), '\0'));
  }
  file.commit();
}

}  // namespace lowbit::detail
