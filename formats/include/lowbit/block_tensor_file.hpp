// SPDX-License-Identifier: MIT
/// \file
/// Block-quantized tensors in safetensors files: what `lowbit quantize` writes and `dequantize`,
/// `gemm`, `verify`, `mac` and `gpu` read.
///
/// A tensor NAME is three entries,
///   NAME.values  U8 [rows, bytes per row]: 4-bit codes two per byte, even column in the low
///   nibble,
///                others one byte each, columns padded with code 0 to whole blocks;
///   NAME.scales  U8 [rows, blocks per row], or [bytes] in the swizzled layout (scale_layout.hpp);
///   NAME.amax    F32, one element;
/// and these strings of the file's metadata:
///   NAME.rows, .columns   the logical matrix (columns required: without it padding is unknown)
///   NAME.encode_constant  C = Q * M, in decimal that reads back exactly; 1 where absent for MX,
///                         required for the others
///   the keys of the QuantizeRecord (quantize_record.hpp; format required)
/// Any further NAME.KEY is an attribute that is kept and not interpreted.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/quantize_record.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// A block-quantized tensor as a file holds it.
struct NamedBlockTensor {
  std::string name;                               ///< NAME of its entries
  BlockTensor tensor;                             ///< scales row-major, whatever the file's layout
  QuantizeRecord record;                          ///< its format is the tensor's
  std::map<std::string, std::string> attributes;  ///< KEY -> text of NAME.KEY, those above apart
};

/// The same with its codes and scale bytes where the file has them.
struct StoredBlockTensor {
  NamedBlockTensor head;              ///< without codes and scale bytes
  std::span<const std::byte> values;  ///< as BlockTensor::values
  std::span<const std::byte> scales;  ///< in the layout that the record names
};

/// Names of the block-quantized tensors in the file, in order: those with NAME.values and a
/// metadata entry NAME.format.
[[nodiscard]] std::vector<std::string> block_tensor_names(const TensorFile& file);

/// Reads one tensor. An empty name means the file's only one.
/// \param file  an open file
/// \param name  of the tensor; empty: the file's only one
/// \param path  of the file, for messages.
/// \throws Error(usage) where the name is missing or ambiguous; Error(invalid_input), naming file
///         and entry, for entries of the wrong dtype or shape, missing, malformed or unknown
///         metadata, and tensor scales that are not finite or not positive (amax may be 0).
/// Codes and scale bytes are any bytes.
[[nodiscard]] NamedBlockTensor read_block_tensor(const TensorFile& file,
                                                 const std::filesystem::path& path,
                                                 const std::string& name = {});
/// The same, reading no code and no scale byte. The bytes belong to the file. \throws the same
[[nodiscard]] StoredBlockTensor find_block_tensor(const TensorFile& file,
                                                  const std::filesystem::path& path,
                                                  const std::string& name = {});
/// The same for a file that is not open yet.
[[nodiscard]] NamedBlockTensor read_block_tensor(const std::filesystem::path& path,
                                                 const std::string& name = {});

/// Adds the metadata entries of a block-quantized tensor: its record, attributes, rows, columns and
/// encode constant.
void add_metadata(const NamedBlockTensor& named, std::map<std::string, std::string>& metadata);

/// Writes the tensors to one file, whole or not at all.
/// \param path  of the file to write
/// \param tensors  with unique names
/// \param metadata  further entries of the file itself.
/// \param others  tensors that go beside them as they are.
void write_block_tensors(const std::filesystem::path& path,
                         std::span<const NamedBlockTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {},
                         std::span<const OutputTensor> others = {});

}  // namespace lowbit
