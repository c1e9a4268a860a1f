// SPDX-License-Identifier: MIT
/// \file
/// Checkpoints whose weights are quantized in blocks, as the libraries that people use write them:
/// which tensors belong together, what they hold, and how they are read. docs/checkpoints.md lists
/// the conventions. Nothing in a file is believed: what contradicts itself is a fault, one line
/// each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/layout.hpp"
#include "lowbit/scale_rule.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// How one library names and stores a quantized weight. A name is a stem, such as
/// "model.layers.0.mlp.up_proj.", and one of these endings.
struct CheckpointConvention {
  std::string_view name;          ///< as the command spells it: "modelopt"
  std::string_view library;       ///< who writes it
  std::string_view weight;        ///< ending of the weight that is meant
  std::string_view codes;         ///< ending of the packed 4-bit codes
  std::string_view wide_codes;    ///< ending of 8-bit codes; empty where there are none
  std::string_view scales;        ///< ending of the scale bytes; empty where they are fused
  std::string_view tensor_scale;  ///< ending of the tensor scale; empty where there is none
  std::string_view input_scale;   ///< ending of the scale of activations, which is kept; or empty
  std::string_view extra;         ///< ending of a further tensor that belongs to it; or empty
  Layout layout;                  ///< of its tensors, with E4M3 scales
  bool is_gguf;                   ///< a type of GGUF, not names of tensors
  /// Of `lowbit dialects`: the libraries whose arithmetic such checkpoints usually hold.
  std::array<std::string_view, 2> dialect_libraries{};
};
/// Every convention that is read.
[[nodiscard]] std::span<const CheckpointConvention> checkpoint_conventions();
/// The record of that name, or nullptr.
[[nodiscard]] const CheckpointConvention* find_checkpoint_convention(std::string_view name);

/// A weight that is stored in blocks. The tensors belong to the Checkpoint.
struct QuantizedTensor {
  std::string name;                                  ///< of the weight that it stands for
  const CheckpointConvention* convention = nullptr;  ///< never null
  const BlockFormat* format = nullptr;               ///< never null
  std::vector<std::uint64_t> shape;                  ///< of the weight, slowest dimension first
  Layout layout;                                     ///< of the stored bytes
  const TensorInfo* codes = nullptr;                 ///< never null
  const TensorInfo* scales = nullptr;                ///< null where fused
  const TensorInfo* tensor_scale = nullptr;          ///< null where there is none
  const TensorInfo* input_scale = nullptr;           ///< null where there is none
  const TensorInfo* extra = nullptr;                 ///< null where there is none
  /// One number per part: one, or one per expert. 1 where the convention has none.
  std::vector<float> tensor_scales{1.0F};
  /// lowbit's own only: transformed, transposed or along another axis than the last one, so that
  /// its rows are not the original's.
  bool is_rearranged = false;
  bool is_hadamard = false;        ///< lowbit's own only: transformed by a Hadamard matrix
  float encode_constant = 1.0F;    ///< C, where the tensor scale is an amax
  std::optional<ScaleRule> rule;   ///< of its scales, where config.json says it
  std::size_t rows = 0;            ///< all dimensions but the last
  std::size_t columns = 0;         ///< the last dimension
  std::size_t stored_rows = 0;     ///< with padding
  std::size_t stored_columns = 0;  ///< with padding

  /// Matrices with a tensor scale of their own.
  [[nodiscard]] std::size_t parts() const { return tensor_scales.size(); }
  /// Bytes of everything that is stored for it.
  [[nodiscard]] std::uint64_t stored_bytes() const;
};

/// Something that contradicts itself or is missing.
struct CheckpointFault {
  std::string file;    ///< that holds it
  std::string tensor;  ///< or empty
  std::string kind;    ///< one word for programs: "missing_scales", "scale_shape", ...
  std::string text;    ///< what is wrong, and the remedy
  /// `FILE: tensor "NAME": TEXT`
  [[nodiscard]] std::string line() const;
};

/// A tensor that is quantized in a way that is no block format, and why.
struct ForeignTensor {
  const TensorInfo* tensor = nullptr;  ///< never null
  std::string_view reason;             ///< one of a few texts; static storage
};

/// An open checkpoint. Move-only; reading is thread-safe.
class Checkpoint {
 public:
  /// Opens a folder as Hugging Face lays it out, an index, or a file, with config.json beside them
  /// where there is one. What cannot be opened or does not fit together is a fault; the rest is
  /// read. \param path  of the folder or file \throws Error(invalid_input) where nothing at all can
  /// be opened.
  static Checkpoint open(const std::filesystem::path& path);

  /// Takes over the other's files.
  Checkpoint(Checkpoint&&) noexcept;
  /// Takes over the other's files.
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  /// Weights in blocks, in the order of the files and of the tensors in them.
  [[nodiscard]] std::span<const QuantizedTensor> quantized() const;
  /// Tensors that belong to no quantized weight.
  [[nodiscard]] std::span<const TensorInfo* const> plain() const;
  /// Tensors that are quantized otherwise.
  [[nodiscard]] std::span<const ForeignTensor> foreign() const;
  /// What does not fit together, one line each.
  [[nodiscard]] std::span<const CheckpointFault> faults() const;
  /// The files that are open.
  [[nodiscard]] std::span<const TensorFile> files() const;
  /// What was opened, for messages.
  [[nodiscard]] const std::string& path() const;
  /// The tensor of that name in any of the files, or nullptr.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;

  /// Codes, scale bytes and tensor scale of one part of a weight.
  /// \param tensor  one of quantized()
  /// \param part  below tensor.parts()
  /// \return rows / parts x columns; amax and encode_constant such that the exact dequantization
  ///         gives code * scale * tensor scale of the convention.
  [[nodiscard]] BlockTensor read(const QuantizedTensor& tensor, std::size_t part = 0) const;
  /// The weight in FP32, dequantized by its own convention: the exact value, rounded once; ggml: as
  /// ggml does (docs/files.md), times the tensor scale.
  /// \param tensor  one of quantized()
  /// \return rows x columns
  [[nodiscard]] std::vector<float> dequantize(const QuantizedTensor& tensor) const;

  struct Contents;

 private:
  explicit Checkpoint(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

/// Throws Error(invalid_input) whose message has one line per fault, where there are faults.
void require_no_faults(const Checkpoint& checkpoint);

}  // namespace lowbit
