// SPDX-License-Identifier: MIT
#include "arrays.hpp"

#include <fmt/format.h>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace nb = nanobind;

namespace lowbit::python {
namespace {

const Dtype* own_dtype(const nb::dlpack::dtype& type) {
  if (type.lanes != 1) return nullptr;
  const auto code = static_cast<nb::dlpack::dtype_code>(type.code);
  if (code == nb::dlpack::dtype_code::Bfloat && type.bits == 16) return &dtype_bf16;
  if (code != nb::dlpack::dtype_code::Float) return nullptr;
  switch (type.bits) {
    case 64:
      return &dtype_f64;
    case 32:
      return &dtype_f32;
    case 16:
      return &dtype_f16;
    default:
      return nullptr;
  }
}

}  // namespace

TensorInfo tensor_of(const AnyArray& array, const std::string& dtype) {
  TensorInfo tensor;
  tensor.name = "x";
  tensor.file = "array";
  tensor.dtype = dtype.empty() ? own_dtype(array.dtype()) : find_dtype(dtype);
  if (tensor.dtype == nullptr || !tensor.dtype->is_float() || tensor.dtype->block_elements != 1) {
    throw Error(
        ErrorKind::usage,
        dtype.empty()
            ? "the array's elements are not floating-point numbers; for bits of a narrow type "
              "in unsigned integers give dtype=, as \"BF16\""
            : fmt::format("dtype='{}' is not one of F64, F32, F16, BF16, F8_E4M3, F8_E5M2, F8_E8M0",
                          printable(dtype)));
  }
  if (array.itemsize() != static_cast<std::size_t>(tensor.dtype->block_bytes)) {
    throw Error(ErrorKind::usage,
                fmt::format("dtype='{}' has {} bytes an element, the array has {}",
                            tensor.dtype->name, tensor.dtype->block_bytes, array.itemsize()));
  }
  for (std::size_t i = 0; i < array.ndim(); ++i) tensor.shape.push_back(array.shape(i));
  tensor.bytes = {static_cast<const std::byte*>(array.data()), array.nbytes()};
  return tensor;
}

}  // namespace lowbit::python
