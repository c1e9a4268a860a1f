// SPDX-License-Identifier: MIT
/// \file
/// A safetensors file whose tensors are written piece by piece, so that none is ever whole in
/// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/communicator.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// A tensor that is to be written: an OutputTensor without its bytes.
struct TensorPlace {
  std::string name;                  ///< unique in the file
  const Dtype* dtype = nullptr;      ///< required
  std::vector<std::uint64_t> shape;  ///< slowest dimension first
};

/// Writes the file that write_safetensors() would: to a temporary file beside it, then renamed. Of
/// several processes, all of which must have the same list, each writes what it calls write() for.
class SafetensorsStream {
 public:
  /// Writes the header. Common to all of `ranks`. \throws as write_safetensors()
  SafetensorsStream(const std::filesystem::path& path, std::span<const TensorPlace> tensors,
                    const std::map<std::string, std::string>& metadata = {},
                    const Communicator& ranks = alone());

  /// Writes bytes of a tensor; those that are never written are zeros. Several threads may call it.
  /// \param tensor  its place in the list that the constructor took
  /// \param offset  from the tensor's first byte
  /// \param bytes  what stands there
  /// \throws Error(invalid_input) where the system refuses; Error(internal) beyond the tensor's end
  void write(std::size_t tensor, std::uint64_t offset, std::span<const std::byte> bytes) const;
  /// Renames the temporary file. Call it once, at the end. Common to all ranks.
  void commit();

 private:
  struct Range {
    std::uint64_t begin = 0;  ///< in the file
    std::uint64_t size = 0;
  };
  const Communicator& ranks_;
  std::optional<OutputFile> file_;      ///< of the first rank, which creates and renames it
  std::unique_ptr<SharedFile> shared_;  ///< the same file, where there are several ranks
  std::vector<Range> ranges_;
  std::uint64_t end_ = 0;
};

}  // namespace lowbit
