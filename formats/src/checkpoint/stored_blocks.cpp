// SPDX-License-Identifier: MIT
#include "lowbit/stored_blocks.hpp"

#include <fmt/format.h>

#include <cmath>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "quantize/tensor_constants.hpp"

namespace lowbit {
namespace {

[[noreturn]] void fail(const TensorInfo& tensor, const std::string& what) {
  throw Error(ErrorKind::invalid_input, fmt::format("{}: tensor \"{}\": {}", printable(tensor.file),
                                                    printable(tensor.name), what));
}

const TensorInfo& named(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo* const found = checkpoint.find(name);
  if (found != nullptr) return *found;
  throw Error(ErrorKind::usage, fmt::format("{}: no tensor \"{}\" in it; `lowbit inspect` lists "
                                            "the names",
                                            printable(checkpoint.path()), printable(name)));
}

std::span<const std::uint8_t> bytes_of(const TensorInfo& tensor) {
  return {reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size()};
}

/// Columns of the matrix whose rows the codes are.
std::size_t columns_of(const TensorInfo& codes, const BlockFormat& format, const Layout& layout) {
  const Dtype& dtype = *codes.dtype;
  const std::size_t last = codes.columns();
  if (dtype == dtype_f4 || dtype.name.starts_with("GGML_")) return last;
  const bool is_words = dtype == dtype_u32 || dtype == dtype_i32;
  const bool is_bytes =
      dtype == dtype_u8 || dtype == dtype_i8 || dtype == dtype_f8_e4m3 || dtype == dtype_f8_e5m2;
  if (!is_words && !is_bytes) {
    fail(codes, fmt::format("dtype {} holds no codes; they are U8, I8, U32, F4, F8_E4M3 or F8_E5M2",
                            dtype.name));
  }
  const std::size_t bytes = last * (is_words ? 4 : 1);
  const auto bits = static_cast<std::size_t>(format.storage_bits());
  if (layout.fused_blocks == 0) return bytes * 8 / bits;
  // A group: its scale bytes, then its codes.
  const auto blocks = static_cast<std::size_t>(layout.fused_blocks);
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t group = blocks * (1 + size * bits / 8);
  if (bytes % group != 0) {
    fail(codes, fmt::format("rows of {} bytes, no multiple of the {} of {} fused blocks", bytes,
                            group, blocks));
  }
  return bytes / group * blocks * size;
}

float tensor_scale_of(const TensorInfo& tensor, TensorScaleKind kind) {
  if (tensor.elements() != 1 || !tensor.dtype->is_float()) {
    fail(tensor, fmt::format("{} elements of {} where the tensor scale is one float",
                             tensor.elements(), tensor.dtype->name));
  }
  const float number = to_f32(tensor).at(0);
  const bool is_positive = kind == TensorScaleKind::divisor ? number > 0 : number >= 0;
  if (!std::isfinite(number) || !is_positive) {
    fail(tensor, fmt::format("a tensor scale of {}; it must be finite and {}", number,
                             kind == TensorScaleKind::divisor ? "positive" : "not negative"));
  }
  return number;
}

}  // namespace

BlockTensor read_blocks(const Checkpoint& checkpoint, const BlockDescription& d) {
  const TensorInfo& codes = named(checkpoint, d.names.values);
  const TensorInfo* const scales =
      d.names.scales.empty() ? nullptr : &named(checkpoint, d.names.scales);
  if (scales == nullptr && d.layout.fused_blocks == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: tensor \"{}\": name its scale bytes too, or say in the layout how "
                            "many blocks are fused (fused=4)",
                            printable(codes.file), printable(codes.name)));
  }
  const std::size_t columns = columns_of(codes, *d.format, d.layout);
  const std::span<const std::uint8_t> scale_bytes =
      scales == nullptr ? std::span<const std::uint8_t>{} : bytes_of(*scales);
  BlockTensor t;
  try {
    t = unpack(d.layout, *d.format, codes.rows(), columns, bytes_of(codes), scale_bytes);
  } catch (const Error& error) {
    fail(codes, error.what());
  }
  if (d.format->family() == ScaleFamily::mx || d.names.tensor_scale.empty()) {
    if (!d.names.tensor_scale.empty()) {
      fail(named(checkpoint, d.names.tensor_scale),
           fmt::format("{} has no tensor scale", d.format->name));
    }
    set_tensor_scale(t, TensorScaleKind::none, 1.0F, 1.0F);
    return t;
  }
  QuantizeOptions options;
  options.format = d.format;
  options.rule = d.rule.value_or(default_rule(*d.format));
  const float number =
      tensor_scale_of(named(checkpoint, d.names.tensor_scale), d.layout.tensor_scale);
  set_tensor_scale(t, d.layout.tensor_scale, number,
                   detail::make_constants(options, 1.0F).encode_constant);
  return t;
}

}  // namespace lowbit
