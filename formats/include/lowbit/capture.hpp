// SPDX-License-Identifier: MIT
/// \file
/// Captured outputs of other implementations: which dialect each configuration of a capture file
/// is, and whether that dialect gives the captured bytes. Thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {

/// What the tensor scale of a capture is.
enum class CapturedScale : std::uint8_t { none, encode, decode, amax };
/// What was quantized together.
enum class CapturedShape : std::uint8_t {
  rows,              ///< blocks along the rows of the input
  square,            ///< 2D blocks
  row_scaled,        ///< each row is a tensor of its own
  hadamard_columns,  ///< the columns of the input, transformed; compared as rows
};

/// One configuration of a capture file of a library.
struct CaptureConfiguration {
  std::string_view file;                      ///< without its extension
  std::string_view configuration;             ///< as in the keys, without the mark of CUDA
  std::string_view dialect;                   ///< of the run on the CPU; empty where there was none
  std::string_view cuda_dialect;              ///< of the run on CUDA; empty where there was none
  std::string_view format;                    ///< a name of block_formats()
  ScaleRule rule = ScaleRule::static_6;       ///< how its scales are chosen
  CapturedScale scale = CapturedScale::none;  ///< of the captured tensor scale
  CapturedShape shape = CapturedShape::rows;  ///< of what was quantized together
  float scale_max = 0.0F;                     ///< M; 0: the default
  bool casts_input = false;                   ///< the input was cast to FP32 first
  bool gives_scale = false;      ///< the captured tensor scale and block scales are taken as given
  bool has_ggml_blocks = false;  ///< codes and scale bytes lie in blocks of ggml
  bool keeps_nan = false;  ///< a fake quantizer that gives NaN for NaN, which no code can hold
};

/// Every configuration that is known, in the order of the files.
[[nodiscard]] std::span<const CaptureConfiguration> capture_configurations();

/// What a comparison found.
struct CaptureResult {
  std::string library;                        ///< the file without its extension
  std::string configuration;                  ///< with the mark of CUDA where it ran there
  std::string dialect;                        ///< that was compared with
  std::size_t tensors = 0;                    ///< inputs that were compared
  std::size_t blocks = 0;                     ///< of these
  std::size_t mismatches = 0;                 ///< blocks with another code or scale byte
  std::size_t wrong_tensor_scales = 0;        ///< tensors with another tensor scale
  std::size_t dequantized = 0;                ///< tensors whose dequantization was captured
  std::size_t wrong_dequantized = 0;          ///< of these, with another value
  std::size_t unexplained = 0;                ///< mismatches without an allowed cause
  std::map<std::string, std::size_t> causes;  ///< of the other mismatches, with their blocks
  std::string first;                          ///< where the first mismatch is
  /// The first mismatching blocks: elements as the bits of binary32, then captured and computed
  /// scale byte and bytes of the codes, in hexadecimal digits.
  std::vector<std::string> examples;
};

/// Compares every configuration of one capture file: of a library, or of fouroversix.
/// \param file  inputs.safetensors lies beside it, or its inputs in a folder fouroversix there
///
/// \param report  is called with each result
///
/// \param examples  how many mismatching blocks to describe in each result
///
/// \param substitute  gives the dialect to compare with instead of a configuration's own, or null
/// to leave the configuration out
///
/// \throws Error(invalid_input) for files that do not have the layout of a capture.
void compare_captures(const std::filesystem::path& file,
                      const std::function<void(const CaptureResult&)>& report,
                      std::size_t examples = 0,
                      const std::function<const Dialect*(const Dialect&)>& substitute = {});

}  // namespace lowbit
