// SPDX-License-Identifier: MIT
/// \file
/// Which tensors of files are weights of linear and convolution layers: the one selection of
/// evaluation, quantization and planning. Thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/tensor_file.hpp"
#include "lowbit/weight_layout.hpp"

namespace lowbit {

/// Regular expressions (ECMAScript) that must, or must not, match somewhere in a tensor's name.
class NamePatterns {
 public:
  NamePatterns() = default;
  /// \throws Error(usage), naming option and expression, for one that is malformed.
  NamePatterns(std::span<const std::string> include, std::span<const std::string> exclude);

  /// Whether no exclusion matches and, where there are inclusions, one of them does.
  [[nodiscard]] bool accepts(const std::string& name) const;
  /// Whether there are inclusions: the names are the caller's choice, and not ours.
  [[nodiscard]] bool names_tensors() const;
  /// Whether an exclusion matches.
  [[nodiscard]] bool excludes(const std::string& name) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// What the caller says about tensors to take and their layout.
struct SelectionRules {
  NamePatterns names{};                           ///< name patterns
  bool all = false;                               ///< every float tensor, whatever it looks like
  WeightLayout layout = WeightLayout::automatic;  ///< how dimensions are meant
  std::optional<int> axis{};                      ///< along which blocks run; wins over the layout
};

/// A tensor and the matrix that it is taken for.
struct SelectedTensor {
  const TensorInfo* tensor = nullptr;  ///< never null
  std::size_t file = 0;                ///< index among the files
  AxisView view{};                     ///< the tensor as a matrix whose rows run along the blocks
  WeightLayout layout = WeightLayout::last;  ///< what `view` follows, where no axis was given
};
/// A tensor that is not taken, and why.
struct LeftOutTensor {
  const TensorInfo* tensor = nullptr;  ///< never null
  std::size_t file = 0;                ///< index among the files
  std::string_view reason;             ///< one of a few texts; static storage
};
/// What select_tensors() takes and leaves out.
struct Selection {
  std::vector<SelectedTensor> taken;    ///< in the order of files and tensors
  std::vector<LeftOutTensor> left_out;  ///< likewise, what no name pattern admits not among them
  std::vector<std::string> notes;       ///< one line each, where a file was taken as a whole
};

/// A tensor that is taken whatever it is, under the rules' layout or axis.
/// \param tensor  of a file that outlives the result
/// \param metadata  of its file
/// \param rules  their layout or axis alone counts
/// \throws Error(invalid_input) for an axis that it does not have.
[[nodiscard]] SelectedTensor selected(const TensorInfo& tensor,
                                      const std::map<std::string, std::string>& metadata,
                                      const SelectionRules& rules);

/// The rules of select_tensors() for people, one per line.
[[nodiscard]] std::string_view selection_help();

/// Applies the rules to each file by itself:
/// - tensors that are not float, or have no elements, are left out in any case;
/// - what a name pattern includes is taken, whatever it is, and nothing else;
/// - otherwise weights are taken: rank 2 or more, at least 16 inputs and 2 outputs, at least 1,024
///   elements, and no name that says embedding, norm, bias, position or recorded activation;
/// - of a file with one tensor, or in which nothing is a weight, every float tensor is taken.
/// \param files  open files
/// \param rules  names, layout and axis
/// \param paths  of the files, for messages
/// \throws Error(invalid_input) for an axis that a tensor does not have.
[[nodiscard]] Selection select_tensors(std::span<const TensorFile> files,
                                       std::span<const std::string> paths,
                                       const SelectionRules& rules);

/// The files to open for a path: the path itself; of a folder, as Hugging Face lays out a model,
/// its
/// *.safetensors.index.json, or else its *.safetensors files in the order of their names.
/// \throws Error(invalid_input) for a folder that has neither.
[[nodiscard]] std::vector<std::filesystem::path> model_files(const std::filesystem::path& path);

/// By which convention the weights of a file are quantized already ("compressed-tensors", "GPTQ",
/// ...), after the names and types of its tensors; empty for plain files.
[[nodiscard]] std::string_view quantized_convention(std::span<const TensorInfo> tensors);

/// Bits per element that padding of rows to whole blocks adds, as a share: 0.05 is 5 %.
[[nodiscard]] double padding_share(const AxisView& view, int block_size);

/// Lines about tensors whose rows are padded by more than 5 %: at most three.
/// \param selection  what is quantized
/// \param block_size  the largest of the formats'
[[nodiscard]] std::vector<std::string> padding_warnings(const Selection& selection, int block_size);

/// \throws Error(usage) where a file's weights are quantized already, unless the rules name
/// tensors or take all of them.
/// \param file  an open file
/// \param path  of the file, for the message
/// \param rules  names and all
void refuse_quantized(const TensorFile& file, const std::string& path, const SelectionRules& rules);

}  // namespace lowbit
