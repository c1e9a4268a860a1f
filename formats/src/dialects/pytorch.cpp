// SPDX-License-Identifier: MIT
// Libraries that quantize with PyTorch or Triton.
#include <array>

#include "dialects/records.hpp"

namespace lowbit::detail {
namespace {

/// What eager PyTorch does: NaN goes through, casts to E4M3 are preceded by a clamp, `a * sign(a)`.
constexpr Dialect eager{.amax_range = AmaxRange::unscaled,
                        .nonfinite = Nonfinite::computed,
                        .tensor_scale_edge = TensorScaleEdge::computed,
                        .scale_nan = ScaleNan::made_negative,
                        .empty_scale = EmptyScale::computed,
                        .mx_scale = MxScale::log2_divided,
                        .mx_empty = MxEmpty::computed,
                        .integer_unit = IntegerUnit::published,
                        .dequantization = Dequantization::decode_product};

constexpr Dialect vllm_ref = [] {
  Dialect d = eager;
  d.name = "vllm_ref";
  d.formats = "nvfp4:static_6";
  d.summary = "vLLM's emulation, ref_nvfp4_quant";
  d.library = "vLLM";
  d.versions = "0.33.0";
  d.source = "vllm/model_executor/layers/quantization/utils/nvfp4_emulation_utils.py";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::reciprocal_product;
  d.block_scale = BlockScale::scale_times_product;
  d.empty_scale = EmptyScale::hundred_millionth;
  d.negative_zero = NegativeZero::dropped;
  d.dequantization = Dequantization::scale_quotient;
  return d;
}();

constexpr Dialect vllm_ref_cuda = [] {
  Dialect d = vllm_ref;
  d.name = "vllm_ref_cuda";
  d.summary = "the same on CUDA";
  d.scale_nan = ScaleNan::positive;
  d.mx_scale = MxScale::log2_reciprocal;
  return d;
}();

constexpr Dialect vllm_mxfp8_torch = [] {
  Dialect d = vllm_ref;
  d.name = "vllm_mxfp8_torch";
  d.formats = "mxfp8_e4m3:rceil";
  d.summary = "vLLM's MXFP8 in PyTorch";
  d.source = "vllm/model_executor/layers/quantization/utils/mxfp8_utils.py";
  d.negative_zero = NegativeZero::kept;
  d.mx_infinity = MxInfinity::largest;
  d.element_overflow = ElementOverflow::nan;
  d.mx_nan = MxNan::divided;
  d.nan_element = NanElement::signed_largest;
  return d;
}();

constexpr Dialect vllm_mxfp8_torch_cuda = [] {
  Dialect d = vllm_mxfp8_torch;
  d.name = "vllm_mxfp8_torch_cuda";
  d.summary = "the same on CUDA";
  d.mx_scale = MxScale::log2_reciprocal;
  d.mx_element_scale = MxElementScale::cuda_exp2;
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect vllm_triton = [] {
  Dialect d = vllm_ref_cuda;
  d.name = "vllm_triton_nvfp4_qdq";
  d.summary = "vLLM's Triton emulation: inv = div.full(S, s)";
  d.element_scale = ElementScale::approximate_quotient;
  d.empty_scale = EmptyScale::signed_zero;
  d.dequantization = Dequantization::full_scale_quotient;
  d.scale_nan = ScaleNan::largest;
  return d;
}();

constexpr Dialect vllm_mxfp4_triton = [] {
  Dialect d = vllm_ref_cuda;
  d.name = "vllm_mxfp4_triton";
  d.formats = "mxfp4:even";
  d.summary = "vLLM's MXFP4 in Triton: the rule even";
  d.source = "vllm/model_executor/layers/quantization/utils/mxfp4_utils.py";
  d.negative_zero = NegativeZero::kept;
  d.mx_scale = MxScale::exact;
  d.mx_element_scale = MxElementScale::signed_zero_where_byte_is_zero;
  d.nonfinite = Nonfinite::computed_skipping_nan;
  d.mx_infinity = MxInfinity::largest;
  d.mx_nan = MxNan::nan_byte;
  return d;
}();

constexpr Dialect vllm_mxfp8_triton = [] {
  Dialect d = vllm_ref_cuda;
  d.name = "vllm_mxfp8_triton";
  d.formats = "mxfp8_e4m3:rceil";
  d.summary = "vLLM's MXFP8 in Triton";
  d.source = "vllm/model_executor/layers/quantization/utils/mxfp8_utils.py";
  d.negative_zero = NegativeZero::kept;
  d.mx_scale = MxScale::log2_full_division;
  d.nan_element = NanElement::largest;
  d.nonfinite = Nonfinite::computed_skipping_nan;
  d.mx_infinity = MxInfinity::largest_flushed;
  return d;
}();

constexpr Dialect modelopt = [] {
  Dialect d = eager;
  d.name = "modelopt";
  d.formats = "nvfp4:static_6";
  d.summary = "Model-Optimizer's export: y = x / (s * D)";
  d.library = "nvidia-modelopt";
  d.versions = "0.47.0";
  d.source =
      "modelopt/torch/quantization/qtensor/nvfp4_tensor.py, mxfp4_tensor.py, mxfp8_tensor.py";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::amax_quotient;
  d.block_scale = BlockScale::over_product;
  d.scale_floor = ScaleFloor::smallest_subnormal;
  d.zero_scale = ZeroScale::one;
  d.element_scale = ElementScale::divided_by_product;
  d.negative_zero = NegativeZero::dropped;
  d.dequantized_zero = DequantizedZero::positive;
  return d;
}();

constexpr Dialect modelopt_cuda = [] {
  Dialect d = modelopt;
  d.name = "modelopt_cuda";
  d.summary = "the same on CUDA, where division by a number is multiplication by its reciprocal";
  d.tensor_scale = TensorScale::amax_product;
  d.mx_scale = MxScale::log2_reciprocal;
  d.scale_nan = ScaleNan::positive;
  return d;
}();

constexpr Dialect modelopt_fakequant = [] {
  Dialect d = modelopt_cuda;
  d.name = "modelopt_fakequant";
  d.summary = "Model-Optimizer's Triton fake quantizer: div.full, scales below 1e-5 become 1";
  d.source = "modelopt/torch/kernels/quantization/gemm/fp4_kernel_hopper.py";
  d.nonfinite = Nonfinite::computed_skipping_nan_in_blocks;
  d.block_scale = BlockScale::full_over_product;
  d.scale_floor = ScaleFloor::none;
  d.zero_scale = ZeroScale::kept;
  d.element_scale = ElementScale::full_division_by_product_or_one;
  d.dequantization = Dequantization::decode_product_or_one;
  d.negative_zero = NegativeZero::dropped;
  d.dequantized_zero = DequantizedZero::positive;
  d.nan_element = NanElement::signed_largest;
  d.scale_nan = ScaleNan::largest;
  return d;
}();

constexpr Dialect modelopt_static_fakequant = [] {
  Dialect d = modelopt_fakequant;
  d.name = "modelopt_static_fakequant";
  d.summary = "Model-Optimizer's fake quantizer of calibrated block maxima";
  d.source = "modelopt/torch/kernels/quantization/gemm/fp4_kernel.py";
  d.tensor_scale = TensorScale::normalized;
  d.block_scale = BlockScale::scale_times_product;
  d.element_scale = ElementScale::full_division_by_finite_product;
  d.empty_scale = EmptyScale::computed;
  d.dequantization = Dequantization::decode_product_finite;
  d.scale_nan = ScaleNan::positive;
  return d;
}();

constexpr Dialect modelopt_static = [] {
  Dialect d = modelopt;
  d.name = "modelopt_static";
  d.formats = "nvfp4:static_6,mse";
  d.summary = "Model-Optimizer's export of calibrated block maxima";
  d.block_scale = BlockScale::normalized;
  d.selected_scale = SelectedScale::normalized_candidates;
  d.error_value = ErrorValue::static_fake_quantizer;
  d.error_order = ErrorOrder::neighbour_tree;
  d.zero_scale = ZeroScale::kept;
  return d;
}();

constexpr Dialect modelopt_static_cuda = [] {
  Dialect d = modelopt_static;
  d.name = "modelopt_static_cuda";
  d.summary = "the same on CUDA";
  d.tensor_scale = TensorScale::amax_product;
  d.block_scale = BlockScale::normalized_product;
  d.scale_nan = ScaleNan::positive;
  return d;
}();

/// MXFP4 by sums of comparisons: ties down, and a zero has the sign bit.
constexpr Dialect modelopt_mxfp4 = [] {
  Dialect d = modelopt;
  d.name = "modelopt_mxfp4";
  d.formats = "mxfp4:rceil";
  d.summary = "Model-Optimizer's MXFP4: ties toward zero, zeros are code 8";
  d.source = "modelopt/torch/quantization/qtensor/mxfp4_tensor.py";
  d.element_ties = ElementTies::toward_zero;
  d.negative_zero = NegativeZero::zero_is_negative;
  d.dequantized_zero = DequantizedZero::kept;
  d.mx_infinity = MxInfinity::divided;
  d.mx_nan = MxNan::divided;
  d.nan_element = NanElement::negative_zero;
  return d;
}();

constexpr Dialect modelopt_mxfp4_cuda = [] {
  Dialect d = modelopt_mxfp4;
  d.name = "modelopt_mxfp4_cuda";
  d.summary = "the same on CUDA";
  d.mx_scale = MxScale::log2_reciprocal;
  d.mx_element_scale = MxElementScale::cuda_exp2;
  d.mx_infinity = MxInfinity::divided_nan_byte;
  return d;
}();

/// FP8 elements are cast, which keeps the sign of zeros.
constexpr Dialect modelopt_mxfp8 = [] {
  Dialect d = modelopt;
  d.name = "modelopt_mxfp8";
  d.formats = "mxfp8_e4m3:rceil";
  d.summary = "Model-Optimizer's MXFP8";
  d.source = "modelopt/torch/quantization/qtensor/mxfp8_tensor.py";
  d.negative_zero = NegativeZero::kept;
  d.mx_infinity = MxInfinity::fields;
  d.mx_nan = MxNan::smallest;
  d.nan_element = NanElement::signed_largest;
  return d;
}();

constexpr Dialect modelopt_mxfp8_cuda = [] {
  Dialect d = modelopt_mxfp8;
  d.name = "modelopt_mxfp8_cuda";
  d.summary = "the same on CUDA";
  d.mx_scale = MxScale::log2_reciprocal;
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect torchao = [] {
  Dialect d = eager;
  d.name = "torchao";
  d.formats =
      "nvfp4:static_6 mxfp4:floor,rceil,ceil,even "
      "mxfp8_e4m3:floor,rceil,ceil,even mxfp8_e5m2:floor,rceil,ceil,even";
  d.summary = "torchao: scales are never subnormal";
  d.library = "torchao";
  d.versions = "0.18.0";
  d.source = "torchao/prototype/mx_formats/nvfp4_tensor.py, mx_tensor.py";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::amax_quotient;
  d.block_scale = BlockScale::over_decode_scale;
  d.scale_floor = ScaleFloor::smallest_normal;
  d.element_scale = ElementScale::scale_quotient;
  d.mx_element_scale = MxElementScale::normal_divisor;
  d.nan_element = NanElement::fields_x86;
  d.dequantization = Dequantization::decode_product;
  return d;
}();

constexpr Dialect torchao_cuda = [] {
  Dialect d = torchao;
  d.name = "torchao_cuda";
  d.summary = "the same on CUDA, where division by a number is multiplication by its reciprocal";
  d.tensor_scale = TensorScale::amax_product;
  d.scale_nan = ScaleNan::positive;
  d.mx_scale = MxScale::log2_reciprocal;
  d.nan_element = NanElement::fields_cuda;
  d.block_scale = BlockScale::product_over_decode_scale;
  return d;
}();

constexpr Dialect torchao_single = [] {
  Dialect d = torchao;
  d.name = "torchao_nvfp4_single";
  d.formats = "nvfp4:static_6";
  d.summary = "torchao without a tensor scale";
  d.tensor_scale = TensorScale::one;
  return d;
}();

constexpr Dialect torchao_single_cuda = [] {
  Dialect d = torchao_single;
  d.name = "torchao_nvfp4_single_cuda";
  d.summary = "the same on CUDA";
  d.scale_nan = ScaleNan::positive;
  d.nan_element = NanElement::fields_cuda;
  d.block_scale = BlockScale::scale_times_product;
  return d;
}();

/// compute_dynamic_outer_scale and the tests' PyTorch functions, scale_format "ue5m3". Their
/// nan_to_num and clamp leave no NaN in a scale.
constexpr Dialect alto = [] {
  Dialect d = eager;
  d.name = "alto";
  d.formats = "amdfp4:static_6";
  d.summary = "AMD's ALTO, AMD-FP4 on the CPU: scales are never 0";
  d.library = "ALTO";
  d.versions = "74e251d7";
  d.source = "alto/kernels/fp4/nvfp4/nvfp_quantization.py, tests/unittest/nvfp4/utils.py";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::amax_quotient;
  d.tensor_scale_edge = TensorScaleEdge::at_least_1e_30;
  d.block_scale = BlockScale::over_decode_scale_over_q;
  d.scale_floor = ScaleFloor::smallest_subnormal;
  d.scale_nan = ScaleNan::least;
  d.element_scale = ElementScale::divided_by_product;
  d.nan_element = NanElement::bf16_positive;
  d.dequantization = Dequantization::decode_product;
  return d;
}();

constexpr Dialect mslk = [] {
  Dialect d = torchao_cuda;
  d.name = "mslk";
  d.formats = "nvfp4:static_6";
  d.summary = "MSLK's Triton kernel: the scale is at least 2^-9";
  d.library = "MSLK";
  d.versions = "2a3c8978";
  d.source = "mslk/quantize/triton/quantize_kernels/nvfp4.py";
  d.nonfinite = Nonfinite::computed_skipping_nan_in_blocks;
  d.block_scale = BlockScale::quotient_times_scale;
  d.scale_floor = ScaleFloor::smallest_subnormal;
  d.scale_nan = ScaleNan::least;
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect mslk_imprecise = [] {
  Dialect d = mslk;
  d.name = "mslk_nvfp4_imprecise";
  d.summary = "the same with use_precise_math=False: h = (b * fl(1/6)) * S";
  d.block_scale = BlockScale::scale_times_product;
  return d;
}();

constexpr Dialect mslk_single = [] {
  Dialect d = mslk;
  d.name = "mslk_nvfp4_single";
  d.summary = "MSLK without a tensor scale";
  d.tensor_scale = TensorScale::one;
  return d;
}();

constexpr Dialect mslk_mx4 = [] {
  Dialect d = torchao;
  d.name = "mslk_mx4_torch_ref_ceil";
  d.formats = "mxfp4:ceil";
  d.summary = "MSLK's MX4 reference: the rule ceil, exponents up to 125";
  d.library = "MSLK";
  d.versions = "2a3c8978";
  d.source = "test/quantize/triton/_mx4_torch_reference.py";
  d.mx_range = MxRange::one_to_252;
  d.mx_element_scale = MxElementScale::exact;
  d.nan_element = NanElement::fields_x86;
  d.mx_nan = MxNan::smallest;
  return d;
}();

constexpr Dialect mslk_mx4_cuda = [] {
  Dialect d = mslk_mx4;
  d.name = "mslk_mx4_torch_ref_ceil_cuda";
  d.summary = "the same on CUDA";
  d.nan_element = NanElement::fields_cuda;
  return d;
}();

constexpr Dialect compressed_tensors = [] {
  Dialect d = eager;
  d.name = "compressed_tensors";
  d.formats = "nvfp4:static_6 mxfp4:even";
  d.summary = "compressed-tensors: scales in the type of the weight, scale byte 0 becomes 1/8";
  d.library = "compressed-tensors";
  d.versions = "0.20.1";
  d.dequantized_zero = DequantizedZero::kept;
  d.source = "compressed_tensors/quantization/utils/helpers.py, fp4_utils.py, mxfp_utils.py";
  d.status = DialectStatus::captured;
  d.tensor_scale = TensorScale::typed_reciprocal_product;
  d.tensor_scale_edge = TensorScaleEdge::one;
  d.block_scale = BlockScale::typed_quotient_times_scale;
  d.zero_scale = ZeroScale::one_eighth;
  d.element_scale = ElementScale::divided_by_quotient;
  d.negative_zero = NegativeZero::dropped;
  d.nan_element = NanElement::negative_zero;
  d.mx_scale = MxScale::exact;
  d.mx_even_bits = MxEvenBits::one;
  d.dequantization = Dequantization::bf16_scale_quotient;
  d.mx_infinity = MxInfinity::fields;
  d.mx_nan = MxNan::smallest;
  d.mx_range = MxRange::typed_x86;
  return d;
}();

constexpr Dialect compressed_tensors_cuda = [] {
  Dialect d = compressed_tensors;
  d.name = "compressed_tensors_cuda";
  d.summary = "the same on CUDA";
  d.scale_nan = ScaleNan::positive;
  d.nan_element = NanElement::largest;
  d.mx_range = MxRange::typed_cuda;
  return d;
}();

constexpr Dialect compressed_tensors_mxfp8 = [] {
  Dialect d = compressed_tensors;
  d.name = "compressed_tensors_mxfp8";
  d.formats = "mxfp8_e4m3:even";
  d.summary = "compressed-tensors' MXFP8: the rule even with one mantissa bit";
  d.negative_zero = NegativeZero::kept;
  d.nan_element = NanElement::signed_largest;
  return d;
}();

constexpr Dialect compressed_tensors_mxfp8_cuda = [] {
  Dialect d = compressed_tensors_mxfp8;
  d.name = "compressed_tensors_mxfp8_cuda";
  d.summary = "the same on CUDA";
  d.nan_element = NanElement::least;
  d.mx_range = MxRange::typed_cuda;
  return d;
}();

constexpr Dialect sglang_fake_quant = [] {
  Dialect d = eager;
  d.name = "sglang_fake_quant_fp4";
  d.formats = "mxfp4:static_6";
  d.summary = "SGLang's MXFP4 fake quantizer: RCEIL of b * fl(1/6)";
  d.library = "SGLang";
  d.versions = "0.5.23";
  d.source = "sglang/kernels/ops/quantization/fp4_fake_quant.py";
  d.status = DialectStatus::captured;
  d.negative_zero = NegativeZero::dropped;
  d.mx_scale = MxScale::reciprocal;
  d.mx_range = MxRange::one_to_254;
  d.dequantization = Dequantization::decode_product;
  return d;
}();

constexpr Dialect sglang_kv_cache = [] {
  Dialect d = sglang_fake_quant;
  d.name = "sglang_fake_quant_compressed_kv";
  d.formats = "nvfp4:static_6";
  d.summary = "SGLang's NVFP4 fake quantizer of the KV cache, without a tensor scale";
  d.tensor_scale = TensorScale::one;
  d.block_scale = BlockScale::scale_times_product;
  d.scale_floor = ScaleFloor::smallest_subnormal;
  d.element_scale = ElementScale::divided_by_product;
  return d;
}();

constexpr Dialect sglang_kv_block16 = [] {
  Dialect d = sglang_fake_quant;
  d.name = "sglang_kv_fp4_block16_eager";
  d.formats = "mxfp4_bs16:static_6";
  d.summary =
      "SGLang's FP4 KV cache with exponents for blocks of 16, eager, in the type of the input";
  d.source = "sglang/srt/layers/quantization/kvfp4_tensor.py";
  d.element_ties = ElementTies::away;
  d.mx_scale = MxScale::log2_typed;
  d.mx_range = MxRange::from_1e_10;
  d.mx_infinity = MxInfinity::divided;
  d.mx_nan = MxNan::divided;
  d.nan_element = NanElement::zero;
  return d;
}();

constexpr Dialect sglang_kv_block16_cuda = [] {
  Dialect d = sglang_kv_block16;
  d.name = "sglang_kv_fp4_block16_eager_cuda";
  d.summary = "the same on CUDA";
  d.mx_infinity = MxInfinity::divided_nan_byte;
  return d;
}();

constexpr Dialect microxcaling_nearest = [] {
  Dialect d = eager;
  d.name = "microxcaling_nearest";
  d.formats = "mxfp4:floor mxfp6_e2m3:floor mxfp6_e3m2:floor mxfp8_e4m3:floor";
  d.summary = "microxcaling, rounding 'nearest': half away from zero";
  d.library = "microxcaling";
  d.versions = "7bc41952";
  d.source = "mx/mx_ops.py, mx/elemwise_ops.py";
  d.status = DialectStatus::captured;
  d.element_ties = ElementTies::away;
  d.negative_zero = NegativeZero::dropped;
  d.mx_scale = MxScale::log2_floor;
  d.mx_infinity = MxInfinity::nan_byte;
  d.mx_nan = MxNan::nan_byte;
  return d;
}();

constexpr Dialect microxcaling_even = [] {
  Dialect d = microxcaling_nearest;
  d.name = "microxcaling_even";
  d.summary = "microxcaling, rounding 'even'";
  d.element_ties = ElementTies::even;
  return d;
}();

constexpr Dialect microxcaling_floor = [] {
  Dialect d = microxcaling_nearest;
  d.name = "microxcaling_floor";
  d.summary = "microxcaling, rounding 'floor': toward zero";
  d.element_ties = ElementTies::truncated;
  return d;
}();

constexpr Dialect microxcaling_nearest_native = [] {
  Dialect d = microxcaling_nearest;
  d.name = "microxcaling_nearest_native";
  d.formats = "mxfp4:floor";
  d.summary = "microxcaling, rounding 'nearest', in the type of the input";
  d.mx_scale = MxScale::log2_floor_typed;
  d.element_ties = ElementTies::away_typed;
  return d;
}();

constexpr Dialect microxcaling_even_native = [] {
  Dialect d = microxcaling_nearest_native;
  d.name = "microxcaling_even_native";
  d.summary = "microxcaling, rounding 'even', in the type of the input";
  d.element_ties = ElementTies::even_typed;
  return d;
}();

constexpr Dialect quark_roundup = [] {
  Dialect d = eager;
  d.name = "quark_mxfp4_roundup";
  d.formats = "mxfp4:static_6";
  d.summary =
      "AMD Quark, ROUND_UP: the exponent field of b / max, plus 1 where there is a mantissa";
  d.library = "amd-quark";
  d.versions = "0.13";
  d.source = "quark/torch/kernel/mx/triton.py";
  d.status = DialectStatus::captured;
  d.mx_scale = MxScale::divided;
  d.mx_element_scale = MxElementScale::signed_zero_where_byte_is_zero;
  d.element_ties = ElementTies::away;
  d.nan_element = NanElement::signed_largest;
  return d;
}();

constexpr Dialect quark_mxfp8_roundup = [] {
  Dialect d = quark_roundup;
  d.name = "quark_mxfp8_roundup";
  d.formats = "mxfp8_e4m3:static_6";
  d.summary = "the same for FP8 elements, which are cast to nearest even";
  d.element_ties = ElementTies::even;
  return d;
}();

constexpr Dialect quark_mxfp8_roundup_cuda = [] {
  Dialect d = quark_mxfp8_roundup;
  d.name = "quark_mxfp8_roundup_cuda";
  d.summary = "the same on CUDA";
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect quark_roundup_cuda = [] {
  Dialect d = quark_roundup;
  d.name = "quark_mxfp4_roundup_cuda";
  d.summary = "AMD Quark, ROUND_UP, on CUDA";
  d.nan_element = NanElement::largest;
  return d;
}();

/// Maxima of Triton skip NaN.
constexpr Dialect quark_roundup_triton = [] {
  Dialect d = quark_roundup_cuda;
  d.name = "quark_mxfp4_roundup_triton";
  d.summary = "AMD Quark, ROUND_UP, in Triton";
  d.nonfinite = Nonfinite::computed_skipping_nan;
  return d;
}();

constexpr Dialect quark_mxfp8_roundup_triton = [] {
  Dialect d = quark_mxfp8_roundup_cuda;
  d.name = "quark_mxfp8_roundup_triton";
  d.summary = "the same in Triton";
  d.nonfinite = Nonfinite::computed_skipping_nan;
  return d;
}();

constexpr Dialect quark_rounddown = [] {
  Dialect d = quark_roundup;
  d.name = "quark_mxfp4_rounddown";
  d.summary = "AMD Quark, ROUND_DOWN: the exponent field of b / max";
  d.mx_scale = MxScale::divided_down;
  return d;
}();

constexpr Dialect quark_rounddown_cuda = [] {
  Dialect d = quark_rounddown;
  d.name = "quark_mxfp4_rounddown_cuda";
  d.summary = "AMD Quark, ROUND_DOWN, on CUDA";
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect quark_rounddown_triton = [] {
  Dialect d = quark_rounddown_cuda;
  d.name = "quark_mxfp4_rounddown_triton";
  d.summary = "AMD Quark, ROUND_DOWN, in Triton";
  d.nonfinite = Nonfinite::computed_skipping_nan;
  return d;
}();

constexpr Dialect quark_even = [] {
  Dialect d = quark_roundup;
  d.name = "quark_mxfp4_even";
  d.formats = "mxfp4:even";
  d.summary = "AMD Quark, EVEN, in Triton";
  d.mx_scale = MxScale::exact;
  d.nonfinite = Nonfinite::computed_skipping_nan;
  d.mx_infinity = MxInfinity::largest;
  d.mx_nan = MxNan::nan_byte;
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect quark_even_hwemu = [] {
  Dialect d = quark_even;
  d.name = "quark_mxfp4_even_hwemu";
  d.formats = "mxfp4:even mxfp6_e2m3:even mxfp6_e3m2:even";
  d.summary = "AMD Quark, EVEN, with the C++ emulation of the hardware";
  d.source = "quark/torch/kernel/hw_emulation/csrc/mx/funcs.cuh";
  d.element_ties = ElementTies::even;
  d.negative_zero = NegativeZero::all_dropped;
  d.mx_element_scale = MxElementScale::exact;
  d.nonfinite = Nonfinite::computed;
  return d;
}();

constexpr Dialect fp_quant_mxfp4 = [] {
  Dialect d = eager;
  d.name = "fp_quant_mxfp4_absmax_triton";
  d.formats = "mxfp4:floor";
  d.summary = "FP-Quant's MXFP4: the scale is 2^floor(log2 b) / 4 * 4/3, ties toward zero";
  d.library = "FP-Quant";
  d.versions = "d2e3092f";
  d.source = "inference_lib/src/fp_quant/module/triton/mxfp4.py";
  d.status = DialectStatus::captured;
  d.element_ties = ElementTies::toward_zero;
  d.negative_zero = NegativeZero::zero_is_negative;
  d.mx_element_scale = MxElementScale::four_thirds;
  d.dequantization = Dequantization::bf16_full_division;
  d.nan_element = NanElement::negative_zero;
  d.mx_infinity = MxInfinity::nan_byte;
  d.mx_nan = MxNan::nan_byte;
  return d;
}();

constexpr Dialect fp_quant_nvfp4 = [] {
  Dialect d = fp_quant_mxfp4;
  d.name = "fp_quant_nvfp4_triton";
  d.formats = "nvfp4:static_6";
  d.summary = "FP-Quant's NVFP4: div.full throughout, ties toward zero";
  d.source = "inference_lib/src/fp_quant/module/triton/nvfp4.py";
  d.tensor_scale = TensorScale::reciprocal_product;
  d.block_scale = BlockScale::full_division;
  d.element_scale = ElementScale::full_division;
  return d;
}();

constexpr auto records = std::to_array<Dialect>({vllm_ref,
                                                 vllm_ref_cuda,
                                                 vllm_triton,
                                                 vllm_mxfp4_triton,
                                                 vllm_mxfp8_triton,
                                                 modelopt,
                                                 modelopt_cuda,
                                                 modelopt_fakequant,
                                                 modelopt_static_fakequant,
                                                 modelopt_static,
                                                 modelopt_static_cuda,
                                                 modelopt_mxfp4,
                                                 modelopt_mxfp4_cuda,
                                                 modelopt_mxfp8,
                                                 modelopt_mxfp8_cuda,
                                                 vllm_mxfp8_torch,
                                                 vllm_mxfp8_torch_cuda,
                                                 compressed_tensors_mxfp8,
                                                 compressed_tensors_mxfp8_cuda,
                                                 torchao,
                                                 torchao_cuda,
                                                 torchao_single,
                                                 torchao_single_cuda,
                                                 alto,
                                                 mslk,
                                                 mslk_imprecise,
                                                 mslk_single,
                                                 mslk_mx4,
                                                 mslk_mx4_cuda,
                                                 compressed_tensors,
                                                 compressed_tensors_cuda,
                                                 sglang_fake_quant,
                                                 sglang_kv_cache,
                                                 sglang_kv_block16,
                                                 sglang_kv_block16_cuda,
                                                 microxcaling_nearest,
                                                 microxcaling_even,
                                                 microxcaling_floor,
                                                 microxcaling_nearest_native,
                                                 microxcaling_even_native,
                                                 quark_roundup,
                                                 quark_mxfp8_roundup,
                                                 quark_mxfp8_roundup_cuda,
                                                 quark_mxfp8_roundup_triton,
                                                 quark_roundup_cuda,
                                                 quark_roundup_triton,
                                                 quark_rounddown_cuda,
                                                 quark_rounddown_triton,
                                                 quark_rounddown,
                                                 quark_even,
                                                 quark_even_hwemu,
                                                 fp_quant_mxfp4,
                                                 fp_quant_nvfp4});

}  // namespace

std::span<const Dialect> pytorch_dialects() {
  return records;
}

}  // namespace lowbit::detail
