// SPDX-License-Identifier: MIT
// One reader a file kind; each fills a TensorFile::Contents and leaves nothing unchecked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/mapped_file.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

struct TensorFile::Contents {
  FileKind kind = FileKind::raw;
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::size_t, std::less<>> index;  ///< name to position in tensors
  std::vector<std::unique_ptr<MappedFile>> maps;
  std::vector<std::vector<std::byte>> unpacked;      ///< small members of .npz files
  std::vector<std::unique_ptr<MappedFile>> scratch;  ///< large ones

  /// Maps a file that lives as long as the contents.
  const MappedFile& map(const std::filesystem::path& path) {
    maps.push_back(std::make_unique<MappedFile>(path));
    return *maps.back();
  }
};

void read_safetensors(TensorFile::Contents& contents, const MappedFile& file);
void read_safetensors_index(TensorFile::Contents& contents, const MappedFile& file);
void read_npy(TensorFile::Contents& contents, const MappedFile& file);
void read_npz(TensorFile::Contents& contents, const MappedFile& file);
void read_gguf(TensorFile::Contents& contents, const MappedFile& file);
void read_raw(TensorFile::Contents& contents, const MappedFile& file, const RawLayout& layout);

}  // namespace lowbit
