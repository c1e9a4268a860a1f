// SPDX-License-Identifier: MIT
/// \file
/// A dump to be verified, read from a file as it stands: what the file declares, and what it does
/// not, apart. Thread-safe.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lowbit/quantize_record.hpp"
#include "lowbit/tensor_file.hpp"
#include "lowbit/verify_quantize.hpp"

namespace lowbit {

/// Which tensors of the file hold the parts of a dump. Empty: NAME.values, NAME.scales, NAME.amax.
struct DumpNames {
  std::string values;        ///< codes
  std::string scales;        ///< scale bytes
  std::string tensor_scale;  ///< the number beside the blocks
};

/// A dump with what its file says of it.
struct DeclaredDump {
  StoredDump dump;  ///< the bytes as stored; they live as long as the file
  /// Format, rule and dialect as the metadata say; null and absent where they do not. The layout is
  /// that of the record where the file has one.
  VerifyRequest request;
  QuantizeRecord record;               ///< all other keys; defaults where the file has none
  std::optional<std::size_t> rows;     ///< of the matrix, where the file says
  std::optional<std::size_t> columns;  ///< the same
};

/// Reads the parts and the declaration of one tensor.
/// \param file  an open file
/// \param path  of the file, for messages
/// \param name  NAME of the metadata and of the tensor that was quantized
/// \param names  of the parts
/// \throws Error(invalid_input) for malformed metadata; Error(usage), with everything that is
///         missing in one message, where parts are not found.
[[nodiscard]] DeclaredDump read_dump(const TensorFile& file, const std::filesystem::path& path,
                                     const std::string& name, const DumpNames& names = {});

}  // namespace lowbit
