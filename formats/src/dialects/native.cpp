// SPDX-License-Identifier: MIT
// Libraries in C, C++ and on arrays.
#include <array>

#include "dialects/records.hpp"

namespace lowbit::detail {
namespace {

constexpr Dialect base{.amax_range = AmaxRange::unscaled,
                       .nonfinite = Nonfinite::computed_skipping_nan,
                       .tensor_scale_edge = TensorScaleEdge::computed,
                       .empty_scale = EmptyScale::signed_zero,
                       .mx_empty = MxEmpty::computed,
                       .integer_unit = IntegerUnit::published};

constexpr Dialect mlx = [] {
  Dialect d = base;
  d.name = "mlx";
  d.formats = "nvfp4:static_6 mxfp4:static_6";
  d.summary = "MLX on the CPU: quotients in the type of the weight, ties toward zero, no -0";
  d.library = "MLX";
  d.versions = "0.32.4";
  d.source = "mlx/ops.cpp";
  d.status = DialectStatus::captured;
  d.block_scale = BlockScale::typed_quotient_times_scale;
  d.element_scale = ElementScale::typed_division;
  d.element_ties = ElementTies::least_scaled_difference;
  d.negative_zero = NegativeZero::all_dropped;
  d.mx_scale = MxScale::least_typed;
  d.mx_empty = MxEmpty::one;
  d.dequantization = Dequantization::amax_product;
  d.empty_scale = EmptyScale::zero;
  d.nan_element = NanElement::zero;
  d.scale_nan = ScaleNan::signed_largest;
  d.nonfinite = Nonfinite::computed;
  d.mx_range = MxRange::wrapped;
  d.mx_element_scale = MxElementScale::unclamped;
  d.mx_infinity = MxInfinity::smallest;
  d.mx_nan = MxNan::smallest;
  return d;
}();

constexpr Dialect mlx_nvfp4 = [] {
  Dialect d = mlx;
  d.name = "mlx_nvfp4";
  d.formats = "nvfp4:static_6";
  d.summary = "the same without a global scale";
  d.tensor_scale = TensorScale::one;
  return d;
}();

constexpr Dialect mlx_mxfp8 = [] {
  Dialect d = mlx;
  d.name = "mlx_mxfp8";
  d.formats = "mxfp8_e4m3:static_6";
  d.summary = "MLX's MXFP8 on the CPU";
  d.element_ties = ElementTies::even;
  d.negative_zero = NegativeZero::kept;
  d.nan_element = NanElement::largest_finite;
  return d;
}();

constexpr Dialect mlx_metal = [] {
  Dialect d = base;
  d.name = "mlx_metal";
  d.formats = "nvfp4:static_6 mxfp4:static_6,floor mxfp8_e4m3:static_6,floor";
  d.summary = "MLX's Metal kernel: h = (b / 6) * S, y = x * (S / s)";
  d.library = "MLX";
  d.versions = "0.32";
  d.source = "mlx/backend/metal/kernels/fp_quantized.h";
  d.element_scale = ElementScale::scale_quotient;
  return d;
}();

constexpr Dialect ggml = [] {
  Dialect d = base;
  d.name = "ggml_nvfp4_cpu";
  d.formats = "nvfp4:static_6 mxfp4:floor";
  d.alias = "ggml_mxfp4_cpu";
  d.summary = "ggml on the CPU: half-up scales without a tensor scale, ties toward zero, no -0";
  d.library = "ggml";
  d.versions = "d99724f2";
  d.source = "ggml/src/ggml-impl.h, ggml/src/ggml-quants.c";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::one;
  d.scale_rounding = ScaleRounding::half_up;
  d.element_ties = ElementTies::least_difference;
  d.negative_zero = NegativeZero::kept;
  d.mx_scale = MxScale::log2_floor;
  d.dequantization = Dequantization::decode_product;
  d.mx_range = MxRange::wrapped;
  d.mx_empty = MxEmpty::zero;
  d.mx_infinity = MxInfinity::divided;
  d.mx_nan = MxNan::divided;
  return d;
}();

constexpr Dialect ggml_gguf = [] {
  Dialect d = ggml;
  d.name = "ggml_mxfp4_gguf";
  d.formats = "mxfp4:floor";
  d.alias = "";
  d.summary = "gguf's MXFP4 in NumPy";
  d.library = "gguf";
  d.versions = "0.19.0";
  d.source = "gguf/quants.py";
  d.mx_empty = MxEmpty::zero;
  d.mx_range = MxRange::wrapped;
  d.nonfinite = Nonfinite::computed;
  d.mx_infinity = MxInfinity::divided;
  d.mx_nan = MxNan::divided;
  return d;
}();

constexpr Dialect ggml_cuda = [] {
  Dialect d = base;
  d.name = "ggml_cuda";
  d.formats = "nvfp4:static_6 mxfp4:floor";
  d.summary = "ggml's activation path on CUDA: h = b * fl(1/6), y = x * (1 / s)";
  d.library = "ggml";
  d.versions = "d99724f2";
  d.source = "ggml/src/ggml-cuda";
  d.tensor_scale = TensorScale::one;
  d.block_scale = BlockScale::scale_times_product;
  d.element_scale = ElementScale::scale_quotient;
  return d;
}();

constexpr Dialect universal = [] {
  Dialect d = base;
  d.name = "universal_nvfp4";
  d.formats = "nvfp4:static_6";
  d.summary = "universal's nvblock: elements are divided by the tensor scale first";
  d.library = "stillwater-sc/universal";
  d.versions = "e6aa3570";
  d.source = "include/sw/universal/number/nvblock/nvblock_impl.hpp";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::amax_quotient;
  d.block_scale = BlockScale::scaled_elements;
  d.zero_scale = ZeroScale::smallest;
  d.element_scale = ElementScale::divided_twice;
  d.empty_scale = EmptyScale::zero;
  d.nan_element = NanElement::negative_nan_or_zero;
  d.mx_scale = MxScale::log2_floor;
  d.mx_element_scale = MxElementScale::unclamped_reciprocal;
  d.mx_empty = MxEmpty::minus_largest_exponent;
  d.dequantization = Dequantization::decode_product;
  d.nonfinite = Nonfinite::computed_finite_amax;
  d.mx_infinity = MxInfinity::smallest;
  d.mx_nan = MxNan::nan_byte;
  return d;
}();

constexpr Dialect universal_ts1 = [] {
  Dialect d = universal;
  d.name = "universal_nvfp4_ts1";
  d.summary = "the same with a tensor scale of 1";
  d.tensor_scale = TensorScale::one;
  return d;
}();

constexpr Dialect universal_mx = [] {
  Dialect d = universal;
  d.name = "universal_mxfp4";
  d.formats = "mxfp4:floor mxfp6_e2m3:floor mxfp6_e3m2:floor mxfp8_e4m3:floor";
  d.alias = "universal_mxfp8";
  d.summary = "universal's mxblock: floor(log2f(b)), an empty block has the exponent -emax";
  d.source = "include/sw/universal/number/mxfloat/mxblock_impl.hpp";
  return d;
}();

constexpr Dialect gfloat = [] {
  Dialect d = base;
  d.name = "gfloat_mxfp4";
  d.formats = "mxfp4:floor mxfp8_e4m3:floor mxfp8_e5m2:floor";
  d.alias = "gfloat_mxfp8";
  d.summary = "gfloat: the rule floor on exact bits";
  d.library = "gfloat";
  d.versions = "0.5.2";
  d.source = "src/gfloat/block.py";
  d.status = DialectStatus::captured;
  d.nonfinite = Nonfinite::computed;
  d.mx_infinity = MxInfinity::largest;
  d.mx_nan = MxNan::nan_byte;
  d.nan_element = NanElement::negative_nan_or_zero;
  return d;
}();

constexpr auto records =
    std::to_array<Dialect>({mlx, mlx_nvfp4, mlx_mxfp8, mlx_metal, ggml, ggml_gguf, ggml_cuda,
                            universal, universal_ts1, universal_mx, gfloat});

}  // namespace

std::span<const Dialect> native_dialects() {
  return records;
}

}  // namespace lowbit::detail
