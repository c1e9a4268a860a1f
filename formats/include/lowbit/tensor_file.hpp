// SPDX-License-Identifier: MIT
/// \file
/// Tensor dumps, read through memory maps: safetensors (and sharded *.index.json), .npy, .npz, GGUF
/// and raw binary. Nothing in a file is believed before it is checked: every malformed file is one
/// Error(invalid_input) whose line names the file, the tensor, the byte offset and the remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/dtype.hpp"

namespace lowbit {

/// One tensor of a file. The bytes belong to the TensorFile and live as long as it does.
struct TensorInfo {
  std::string name;                  ///< unique in the file
  const Dtype* dtype = nullptr;      ///< never null
  std::vector<std::uint64_t> shape;  ///< slowest dimension first; empty for a scalar
  std::span<const std::byte> bytes;  ///< little-endian, possibly unaligned
  std::uint64_t offset = 0;          ///< of the bytes in `file` (0 where they were unpacked)
  std::string file;                  ///< the file that holds them: a shard, where there are shards
  bool fortran_order = false;        ///< .npy only: stored with the first dimension fastest

  /// Product of the shape (1 for a scalar); fits, since the readers checked it.
  [[nodiscard]] std::uint64_t elements() const;
  /// Last dimension (1 for a scalar), and the product of the others: a matrix of rows x columns.
  [[nodiscard]] std::uint64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  /// Product of all dimensions but the last (1 for a scalar).
  [[nodiscard]] std::uint64_t rows() const;
};

/// What kind of file holds the tensors.
enum class FileKind : std::uint8_t { safetensors, safetensors_index, npy, npz, gguf, raw };
/// The kind's name, as `lowbit inspect` prints it.
[[nodiscard]] std::string_view name_of(FileKind kind);

/// What a raw binary file holds: one tensor, named after the file without its extension.
struct RawLayout {
  const Dtype* dtype = nullptr;      ///< required
  std::vector<std::uint64_t> shape;  ///< slowest dimension first
};

/// An open file. Move-only; the tensors and their bytes may be read from any number of threads.
/// The file must not be truncated by others while it is open.
class TensorFile {
 public:
  /// Maps and checks the file. The kind follows from its first bytes and its name's extension; it
  /// is raw where a layout is given.
  static TensorFile open(const std::filesystem::path& path,
                         const std::optional<RawLayout>& raw = std::nullopt);

  /// Takes over the other's map.
  TensorFile(TensorFile&&) noexcept;
  /// Takes over the other's map.
  TensorFile& operator=(TensorFile&&) noexcept;
  ~TensorFile();

  /// In the order of their names in the file.
  [[nodiscard]] std::span<const TensorInfo> tensors() const;
  /// The tensor of that name, or nullptr.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;
  /// The tensor of that name; Error(usage) where there is none.
  [[nodiscard]] const TensorInfo& at(std::string_view name) const;
  /// String metadata: `__metadata__` of safetensors, string values of GGUF.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const;
  /// What kind of file it is.
  [[nodiscard]] FileKind kind() const;
  /// Paths of the files that are mapped: the file itself and, of an index, its shards.
  [[nodiscard]] std::vector<std::filesystem::path> paths() const;

  struct Contents;

 private:
  explicit TensorFile(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

/// Elements first .. first + out.size() - 1, in row order, as FP32: exact but for F64, which is
/// rounded once to nearest even. GGML_MXFP4 and GGML_NVFP4 are decoded as ggml does.
/// \throws Error(usage) where the dtype is not a float or the range leaves the tensor.
/// Thread-safe. Reads no more of the file than it needs, so that a tensor larger than memory can be
/// read in chunks.
void to_f32(const TensorInfo& tensor, std::uint64_t first, std::span<float> out);
/// All elements.
[[nodiscard]] std::vector<float> to_f32(const TensorInfo& tensor);

/// FP32 values as little-endian elements of F32, F64, F16 or BF16 (each rounded once, to nearest
/// even; beyond the type's range to infinity). \throws Error(usage) for other types.
[[nodiscard]] std::vector<std::byte> from_f32(const Dtype& dtype, std::span<const float> values);

/// A tensor to write. The bytes are the caller's: little-endian, in row order.
struct OutputTensor {
  std::string name;                  ///< unique in the file
  const Dtype* dtype = nullptr;      ///< required
  std::vector<std::uint64_t> shape;  ///< slowest dimension first
  std::span<const std::byte> bytes;  ///< as many as dtype and shape take
};

/// Writes a safetensors file: to a temporary file beside it, then renamed. The same input gives the
/// same bytes: tensors lie in order of element size (widest first, so that all are aligned), then
/// of name, and metadata in order of its keys. \throws Error(usage) for duplicate or reserved names
/// and bytes that do not fit the shape;
///         Error(invalid_input) where the file cannot be written.
void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// Bytes that a tensor of this type and shape takes; nullopt where the product overflows or the
/// elements do not fill whole units of the type.
[[nodiscard]] std::optional<std::uint64_t> byte_size(const Dtype& dtype,
                                                     std::span<const std::uint64_t> shape);

}  // namespace lowbit
