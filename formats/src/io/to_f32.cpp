// SPDX-License-Identifier: MIT
// Stored elements to FP32.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "io/error_text.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/element_format.hpp"
#include "lowbit/tensor_file.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit {
namespace {

std::array<float, 256> table_of(const ElementFormat& format) {
  std::array<float, 256> table{};
  for (std::uint32_t code = 0; code < 256; ++code) table[code] = to_float(format, code);
  return table;
}

void decode_bytes(const ElementFormat& format, const std::byte* at, std::span<float> out) {
  const std::array<float, 256> table = table_of(format);
  for (float& value : out) value = table[std::to_integer<std::size_t>(*at++)];
}

/// ggml keeps E2M1 as small integers, so it has no -0.
double ggml_e2m1(std::uint32_t code) {
  return to_double(e2m1, code) + 0.0;
}

/// ggml's MXFP4: byte e, then 16 bytes that hold elements j (low nibble) and j + 16. It reads e =
/// 255 as 2^128, not as NaN; products beyond FP32 are infinite.
void decode_mxfp4(const std::byte* block, float* out) {
  const int exponent = std::to_integer<int>(block[0]) - 127;
  for (int j = 0; j < 16; ++j) {
    const auto pair = std::to_integer<std::uint32_t>(block[1 + j]);
    out[j] = static_cast<float>(std::ldexp(ggml_e2m1(pair & 0xF), exponent));
    out[j + 16] = static_cast<float>(std::ldexp(ggml_e2m1(pair >> 4), exponent));
  }
}

/// ggml's NVFP4: four bytes of E4M3 whose sign is ignored, 0x7f reading as 0 and 0xff as 480; then
/// 8 bytes for each 16 elements, which hold elements j (low nibble) and j + 8.
void decode_nvfp4(const std::byte* block, float* out) {
  for (int part = 0; part < 4; ++part) {
    const auto byte = std::to_integer<std::uint32_t>(block[part]);
    const double scale = byte == 0x7F ? 0.0 : byte == 0xFF ? 480.0 : to_double(ue4m3, byte & 0x7FU);
    for (int j = 0; j < 8; ++j) {
      const auto pair = std::to_integer<std::uint32_t>(block[4 + 8 * part + j]);
      out[16 * part + j] = static_cast<float>(ggml_e2m1(pair & 0xF) * scale);
      out[16 * part + j + 8] = static_cast<float>(ggml_e2m1(pair >> 4) * scale);
    }
  }
}

template <typename Decode>
void decode_blocks(const TensorInfo& tensor, std::uint64_t first, std::span<float> out,
                   Decode decode) {
  const auto size = static_cast<std::uint64_t>(tensor.dtype->block_elements);
  const auto bytes = static_cast<std::uint64_t>(tensor.dtype->block_bytes);
  std::array<float, 64> block{};
  for (std::size_t done = 0; done < out.size();) {
    const std::uint64_t element = first + done;
    decode(tensor.bytes.data() + element / size * bytes, block.data());
    const std::uint64_t skip = element % size;
    const std::size_t count = std::min<std::uint64_t>(size - skip, out.size() - done);
    std::copy_n(block.begin() + static_cast<std::ptrdiff_t>(skip), count,
                out.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
  }
}

/// Elements that lie one after another in the file.
void convert_run(const TensorInfo& tensor, std::uint64_t first, std::span<float> out) {
  const Dtype& dtype = *tensor.dtype;
  if (dtype == dtype_ggml_mxfp4) return decode_blocks(tensor, first, out, decode_mxfp4);
  if (dtype == dtype_ggml_nvfp4) return decode_blocks(tensor, first, out, decode_nvfp4);
  const std::byte* at = tensor.bytes.data() + first * static_cast<std::uint64_t>(dtype.block_bytes);
  if (dtype == dtype_f32) {
    if (!out.empty()) std::memcpy(out.data(), at, out.size_bytes());
  } else if (dtype == dtype_bf16) {
    detail::widen_bf16(at, out.size(), out.data());
  } else if (dtype == dtype_f16) {
    detail::widen_f16(at, out.size(), out.data());
  } else if (dtype == dtype_f64) {
    for (float& value : out) {
      double wide = 0.0;
      std::memcpy(&wide, at, sizeof wide);
      value = static_cast<float>(wide);
      at += sizeof wide;
    }
  } else if (dtype == dtype_f8_e4m3) {
    decode_bytes(e4m3, at, out);
  } else if (dtype == dtype_f8_e5m2) {
    decode_bytes(e5m2, at, out);
  } else if (dtype == dtype_f8_e8m0) {
    decode_bytes(e8m0, at, out);
  } else {
    throw Error(ErrorKind::internal, fmt::format("no decoder of dtype {}", dtype.name));
  }
}

/// Where elements lie, in whole units of the type.
std::span<const std::byte> bytes_of(const TensorInfo& tensor, std::uint64_t first,
                                    std::uint64_t count) {
  const auto unit = static_cast<std::uint64_t>(tensor.dtype->block_elements);
  const auto bytes = static_cast<std::uint64_t>(tensor.dtype->block_bytes);
  const std::uint64_t begin = first / unit;
  const std::uint64_t end = (first + count + unit - 1) / unit;
  return tensor.bytes.subspan(begin * bytes, (end - begin) * bytes);
}

/// Position in a file with the first dimension fastest of the element at `index` in row order.
std::uint64_t fortran_position(const std::vector<std::uint64_t>& shape, std::uint64_t index) {
  std::uint64_t stride = 1;
  for (const std::uint64_t n : shape) stride *= n;
  std::uint64_t position = 0;
  for (std::size_t d = shape.size(); d-- > 0;) {
    stride /= shape[d];
    position += index % shape[d] * stride;
    index /= shape[d];
  }
  return position;
}

}  // namespace

void to_f32(const TensorInfo& tensor, std::uint64_t first, std::span<float> out) {
  if (!tensor.dtype->is_float()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: tensor \"{}\": {} elements are not numbers to read",
                            printable(tensor.file), printable(tensor.name), tensor.dtype->name));
  }
  const std::uint64_t elements = tensor.elements();
  if (first > elements || out.size() > elements - first) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: tensor \"{}\": elements {} to {} of {}", printable(tensor.file),
                            printable(tensor.name), first, first + out.size(), elements));
  }
  const auto convert = [&](std::uint64_t from, std::span<float> to) {
    convert_run(tensor, from, to);
    note_read(bytes_of(tensor, from, to.size()));
  };
  if (!tensor.fortran_order) return convert(first, out);
  for (std::size_t i = 0; i < out.size(); ++i) {
    convert(fortran_position(tensor.shape, first + i), out.subspan(i, 1));
  }
}

std::vector<float> to_f32(const TensorInfo& tensor) {
  std::vector<float> out(tensor.elements());
  to_f32(tensor, 0, out);
  return out;
}

std::vector<std::byte> from_f32(const Dtype& dtype, std::span<const float> values) {
  std::vector<std::byte> out(values.size() * static_cast<std::size_t>(dtype.block_bytes));
  const ConversionPolicy policy{.overflow = Overflow::infinity};
  const auto store_all = [&](auto convert) {
    std::byte* at = out.data();
    for (const float value : values) {
      const auto stored = convert(value);
      std::memcpy(at, &stored, sizeof stored);
      at += sizeof stored;
    }
  };
  if (dtype == dtype_f32) {
    store_all([](float x) { return x; });
  } else if (dtype == dtype_f64) {
    store_all([](float x) { return static_cast<double>(x); });
  } else if (dtype == dtype_f16) {
    store_all([&](float x) { return static_cast<std::uint16_t>(from_float(f16, x, policy)); });
  } else if (dtype == dtype_bf16) {
    store_all([&](float x) { return static_cast<std::uint16_t>(from_float(bf16, x, policy)); });
  } else {
    throw Error(ErrorKind::usage, fmt::format("no conversion from F32 to {}", dtype.name));
  }
  return out;
}

}  // namespace lowbit
