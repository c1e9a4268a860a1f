// SPDX-License-Identifier: MIT
// Arrays of Python as tensors of the library, without a copy where their elements lie in row order.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lowbit/tensor_file.hpp"

namespace lowbit::python {

/// Any array in main memory: NumPy, DLPack, or a buffer. Elements in row order; others are copied.
using AnyArray = nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>;
using Bytes = nanobind::ndarray<const std::uint8_t, nanobind::c_contig, nanobind::device::cpu>;

/// The tensor in the array's memory, which must outlive it.
/// \param dtype  a name of dtypes(), for arrays of unsigned integers that hold other elements'
/// bits;
///               empty: the array's own.
/// \throws Error(usage) for elements that are no floating-point numbers or do not fit the name.
[[nodiscard]] TensorInfo tensor_of(const AnyArray& array, const std::string& dtype);

/// A NumPy array [shape] over memory that `owner` keeps alive.
template <typename T>
[[nodiscard]] nanobind::object numpy_view(const T* data, std::vector<std::size_t> shape,
                                          nanobind::handle owner) {
  return nanobind::ndarray<nanobind::numpy, const T>(data, shape.size(), shape.data(), owner)
      .cast();
}

/// A NumPy array [shape] that takes the vector over.
template <typename T>
[[nodiscard]] nanobind::object numpy_from(std::vector<T>&& values, std::vector<std::size_t> shape) {
  auto* held = new std::vector<T>(std::move(values));
  const nanobind::capsule owner(held,
                                [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nanobind::ndarray<nanobind::numpy, T>(held->data(), shape.size(), shape.data(), owner)
      .cast();
}

}  // namespace lowbit::python
