// SPDX-License-Identifier: MIT
#include "lowbit/tensor_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "io/error_text.hpp"
#include "io/readers.hpp"

namespace lowbit {
namespace {

namespace fs = std::filesystem;

/// Longer than any checkpoint's; bounds what matching a name against a regular expression can take.
constexpr std::size_t longest_name = 1024;

/// The kind by the first bytes, and by the name where those say nothing.
std::optional<FileKind> kind_of(const fs::path& path, std::span<const std::byte> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<std::size_t>(bytes.size(), 9));
  if (head.starts_with("\x93NUMPY")) return FileKind::npy;
  if (head.starts_with("GGUF")) return FileKind::gguf;
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return FileKind::npz;
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".safetensors") return FileKind::safetensors;
  if (extension == ".npy") return FileKind::npy;
  if (extension == ".npz") return FileKind::npz;
  if (extension == ".gguf") return FileKind::gguf;
  if (extension == ".json") return FileKind::safetensors_index;
  if (head.size() == 9 && head[8] == '{') return FileKind::safetensors;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> byte_size(const Dtype& dtype, std::span<const std::uint64_t> shape) {
  // A dimension of 0 makes the tensor empty, but must not hide an overflow of the others.
  std::uint64_t elements = 1;
  bool empty = false;
  for (const std::uint64_t n : shape) {
    if (n == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(elements, n, &elements)) {
      return std::nullopt;
    }
  }
  const auto unit = static_cast<std::uint64_t>(dtype.block_elements);
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow((elements + unit - 1) / unit,
                             static_cast<std::uint64_t>(dtype.block_bytes), &bytes)) {
    return std::nullopt;
  }
  if (empty) return 0;
  if (elements % unit != 0) return std::nullopt;
  return bytes;
}

std::uint64_t TensorInfo::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t n : shape) product *= n;
  return product;
}

std::uint64_t TensorInfo::rows() const {
  std::uint64_t product = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) product *= shape[i];
  return product;
}

std::string_view name_of(FileKind kind) {
  switch (kind) {
    case FileKind::safetensors:
      return "safetensors";
    case FileKind::safetensors_index:
      return "safetensors index";
    case FileKind::npy:
      return "npy";
    case FileKind::npz:
      return "npz";
    case FileKind::gguf:
      return "GGUF";
    case FileKind::raw:
      return "raw";
  }
  return "unknown";
}

void read_raw(TensorFile::Contents& contents, const MappedFile& file, const RawLayout& layout) {
  if (layout.dtype == nullptr) throw Error(ErrorKind::usage, "raw binary needs a dtype");
  TensorInfo tensor;
  tensor.name = fs::path(file.name()).stem().string();
  tensor.file = file.name();
  tensor.dtype = layout.dtype;
  tensor.shape = layout.shape;
  tensor.bytes = file.bytes();
  const std::optional<std::uint64_t> size = byte_size(*layout.dtype, layout.shape);
  if (!size) {
    throw Error(ErrorKind::usage, "the raw shape overflows 64 bits or does not fill whole bytes");
  }
  if (*size != file.bytes().size()) {
    reject(
        {file.name(), tensor.name, std::min<std::uint64_t>(*size, file.bytes().size())},
        fmt::format("dtype and shape take {} bytes, the file has {}", *size, file.bytes().size()),
        "check --dtype and --shape");
  }
  contents.tensors.push_back(std::move(tensor));
}

TensorFile TensorFile::open(const fs::path& path, const std::optional<RawLayout>& raw) {
  auto contents = std::make_unique<Contents>();
  const MappedFile& file = contents->map(path);
  const std::optional<FileKind> kind =
      raw ? std::optional(FileKind::raw) : kind_of(path, file.bytes());
  if (!kind) {
    reject({file.name(), {}, 0}, "not a safetensors, .npy, .npz or GGUF file",
           "for raw binary give --dtype and --shape");
  }
  contents->kind = *kind;
  try {
    switch (*kind) {
      case FileKind::safetensors:
        read_safetensors(*contents, file);
        break;
      case FileKind::safetensors_index:
        read_safetensors_index(*contents, file);
        break;
      case FileKind::raw:
        read_raw(*contents, file, *raw);
        break;
      case FileKind::npy:
        read_npy(*contents, file);
        break;
      case FileKind::npz:
        read_npz(*contents, file);
        break;
      case FileKind::gguf:
        read_gguf(*contents, file);
        break;
    }
  } catch (const std::bad_alloc&) {
    reject({file.name()}, "needs more memory than there is", "split the file");
  }
  for (std::size_t i = 0; i < contents->tensors.size(); ++i) {
    const TensorInfo& tensor = contents->tensors[i];
    if (tensor.name.size() > longest_name) {
      reject({tensor.file, tensor.name, tensor.offset},
             fmt::format("a name of {} bytes, more than {}", tensor.name.size(), longest_name),
             "rename the tensor");
    }
    if (!contents->index.emplace(tensor.name, i).second) {
      reject({tensor.file, tensor.name, tensor.offset}, "named twice", "write the file again");
    }
  }
  return TensorFile(std::move(contents));
}

TensorFile::TensorFile(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
TensorFile::TensorFile(TensorFile&&) noexcept = default;
TensorFile& TensorFile::operator=(TensorFile&&) noexcept = default;
TensorFile::~TensorFile() = default;

std::span<const TensorInfo> TensorFile::tensors() const {
  return contents_->tensors;
}
const std::map<std::string, std::string>& TensorFile::metadata() const {
  return contents_->metadata;
}
FileKind TensorFile::kind() const {
  return contents_->kind;
}
std::vector<fs::path> TensorFile::paths() const {
  std::vector<fs::path> paths;
  for (const auto& map : contents_->maps) paths.emplace_back(map->name());
  return paths;
}

const TensorInfo* TensorFile::find(std::string_view name) const {
  const auto found = contents_->index.find(name);
  return found == contents_->index.end() ? nullptr : &contents_->tensors[found->second];
}

const TensorInfo& TensorFile::at(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no tensor \"{}\"; `lowbit inspect` lists them",
                            printable(contents_->maps.front()->name()), printable(name)));
  }
  return *tensor;
}

}  // namespace lowbit
