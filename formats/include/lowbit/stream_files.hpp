// SPDX-License-Identifier: MIT
/// \file
/// Files quantized and dequantized tensor by tensor and piece by piece: the same bytes as
/// write_block_tensors() and write_safetensors() of whole tensors, in bounded memory.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lowbit/block_tensor_file.hpp"
#include "lowbit/communicator.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_matrix.hpp"

namespace lowbit {

/// A tensor that is to be quantized.
struct TensorToQuantize {
  std::string name;               ///< NAME of its entries
  StoredMatrix matrix;            ///< where its elements are
  QuantizeOptions request;        ///< what is asked; format required
  QuantizeRecord record;          ///< what the file says of it
  std::vector<float> importance;  ///< request.importance, where the rule searches
};

/// Quantizes tensors into one file, whole or not at all. A tensor whose scale layout is not linear
/// has its scale bytes in memory while it is quantized.
/// \param path  of the file to write
/// \param tensors  with unique names
/// \param metadata  further entries of the file itself
/// \param others  tensors that go beside them as they are
/// \param threads  at most so many; 0: one per core. The file does not depend on it.
/// \param ranks  the processes that share the work and write the one file, which does not depend on
///        them
/// \throws Error as quantize(), naming the tensor, and as write_safetensors()
void quantize_to_file(const std::filesystem::path& path, std::span<const TensorToQuantize> tensors,
                      const std::map<std::string, std::string>& metadata,
                      std::span<const OutputTensor> others, unsigned threads,
                      const Communicator& ranks = alone());

/// A block-quantized tensor that is to be dequantized.
struct TensorToDequantize {
  StoredBlockTensor stored;   ///< where its codes are
  bool as_quantized = false;  ///< the matrix as it was quantized, not the tensor that it was
};

/// Dequantizes tensors into one file, whole or not at all.
/// \param path  of the file to write
/// \param tensors  with unique names
/// \param dtype  F32, F16 or BF16
/// \param others  tensors that go beside them as they are
/// \param threads  at most so many; 0: one per core. The file does not depend on it.
/// \param ranks  as for quantize_to_file()
/// \throws Error(invalid_input) for a record that does not fit, and as write_safetensors()
void dequantize_to_file(const std::filesystem::path& path,
                        std::span<const TensorToDequantize> tensors, const Dtype& dtype,
                        std::span<const OutputTensor> others, unsigned threads,
                        const Communicator& ranks = alone());

}  // namespace lowbit
