// SPDX-License-Identifier: MIT
// Kernels that convert with NVIDIA's FP4 instructions, and the references written beside them.
#include <array>

#include "dialects/records.hpp"

namespace lowbit::detail {
namespace {

/// What the kernels share: S given or bounded, saturating conversions, NaN as the arithmetic gives
/// it, maxima that skip NaN.
constexpr Dialect hardware{.amax_range = AmaxRange::unscaled,
                           .nonfinite = Nonfinite::computed_skipping_nan,
                           .tensor_scale_edge = TensorScaleEdge::bounded_one,
                           .empty_scale = EmptyScale::bounded,
                           .mx_scale = MxScale::least_reciprocal,
                           .mx_empty = MxEmpty::computed,
                           .integer_unit = IntegerUnit::published,
                           .stochastic = StochasticRule::eight_bits,
                           .error_order = ErrorOrder::rows_then_halves};

constexpr std::string_view te_kernels =
    "transformer_engine/common/cast/nvfp4, core_nvfp4.cuh, quantize_4over6_nvfp4.cuh";

constexpr Dialect fos_cuda = [] {
  Dialect d = hardware;
  d.name = "fos_cuda";
  d.formats = "nvfp4";
  d.summary = "fouroversix's CUDA kernel";
  d.library = "fouroversix";
  d.versions = "dadfad6";
  d.source = "csrc/include/fp4_quant_kernel.h";
  d.tensor_scale_edge = TensorScaleEdge::zero;
  d.error_fusion = ErrorFusion::square;
  return d;
}();

constexpr Dialect te_le_2_13 = [] {
  Dialect d = hardware;
  d.name = "te_le_2.13";
  d.formats = "nvfp4:static_6 mxfp8_e4m3:static_6 mxfp8_e5m2:static_6";
  d.summary = "Transformer Engine's kernels up to 2.13: h = (b / 6) * S";
  d.library = "TransformerEngine";
  d.versions = "2.8 to 2.13";
  d.source = te_kernels;
  return d;
}();

constexpr Dialect te_ge_2_14 = [] {
  Dialect d = te_le_2_13;
  d.name = "te_ge_2.14";
  d.formats = "nvfp4:static_6,mse,mae mxfp8_e4m3:static_6 mxfp8_e5m2:static_6";
  d.alias = "te_4over6";
  d.summary = "Transformer Engine's kernels from 2.14 on: h = b * (S * fl(1/6)); 4/6 as before";
  d.versions = "2.14 to 2.20";
  d.block_scale = BlockScale::times_scale_over_q;
  d.selected_scale = SelectedScale::quotient_times_scale;
  return d;
}();

constexpr Dialect te_fast = [] {
  Dialect d = te_ge_2_14;
  d.name = "te_fast";
  d.formats = "nvfp4:static_6";
  d.alias = {};
  d.summary = "Transformer Engine with NVTE_USE_FAST_MATH: a BF16 multiplier";
  d.source = "quantize_transpose_nvfp4_tuned_1D.cuh";
  d.element_scale = ElementScale::bf16_quotient;
  d.negative_zero = NegativeZero::dropped;
  return d;
}();

constexpr Dialect te_tuned_2412 = [] {
  Dialect d = te_le_2_13;
  d.name = "te_tuned_2412";
  d.formats = "nvfp4:static_6";
  d.summary = "Transformer Engine's tuned kernel before it was mended: inv = S / s";
  d.versions = "#2412 to #2639, in no release";
  d.source = "quantize_transpose_nvfp4_tuned_1D.cuh";
  d.element_scale = ElementScale::scale_quotient;
  return d;
}();

constexpr Dialect te_python_ref = [] {
  Dialect d = te_ge_2_14;
  d.name = "te_python_ref";
  d.formats = "nvfp4:static_6,mse,mae";
  d.alias = {};
  d.summary = "Transformer Engine's Python reference";
  d.versions = "2.20.2";
  d.source = "transformer_engine/pytorch/custom_recipes/reference_nvfp4.py";
  d.status = DialectStatus::captured;
  d.nonfinite = Nonfinite::computed;
  d.tensor_scale_edge = TensorScaleEdge::bounded;
  d.empty_scale = EmptyScale::bounded_keeping_nan;
  d.negative_zero = NegativeZero::dropped;
  d.nan_element = NanElement::zero;
  return d;
}();

constexpr Dialect te_python_ref_fast_error = [] {
  Dialect d = te_python_ref;
  d.name = "te_python_ref_fast_error";
  d.formats = "nvfp4:mse,mae";
  d.summary = "the same with nvfp4_4over6_err_use_fast_math: errors in units of the tensor scale";
  d.error_value = ErrorValue::scaled_half;
  return d;
}();

constexpr Dialect te_jax = [] {
  Dialect d = te_le_2_13;
  d.name = "te_jax";
  d.summary = "Transformer Engine's JAX quantizer";
  d.versions = "2.20";
  d.source = "transformer_engine/jax/quantize/quantizer.py";
  d.status = DialectStatus::approximate;
  return d;
}();

constexpr Dialect fi_strict = [] {
  Dialect d = hardware;
  d.name = "fi_strict";
  d.formats = "nvfp4:static_6,mse,mae mxfp4:static_6 mxfp8_e4m3:static_6";
  d.summary = "FlashInfer with FLASHINFER_DISABLE_FP4_QUANT_FAST_MATH=1, subnormals flushed";
  d.library = "FlashInfer";
  d.versions = "fb28d724";
  d.source = "csrc/nv_internal/tensorrt_llm/kernels/quantization_utils.cuh";
  d.tensor_scale = TensorScale::reciprocal_product;
  d.tensor_scale_edge = TensorScaleEdge::computed;
  d.block_scale = BlockScale::times_scale_over_q;
  d.selected_scale = SelectedScale::quotient_times_scale;
  d.empty_scale = EmptyScale::bounded_unless_empty;
  d.subnormals = Subnormals::flushed;
  d.error_value = ErrorValue::decode_scale;
  d.error_order = ErrorOrder::sequential;
  return d;
}();

constexpr Dialect fi_batch_invariant = [] {
  Dialect d = fi_strict;
  d.name = "flashinfer_te_class";
  d.formats = "nvfp4:static_6 mxfp4:static_6 mxfp8_e4m3:static_6";
  d.summary = "FlashInfer's batch-invariant class: as fi_strict with subnormals kept";
  d.versions = "0.7.4";
  d.source = "flashinfer/batch_invariant/quantization/nvfp4_reference.py";
  d.status = DialectStatus::captured;
  d.empty_scale = EmptyScale::bounded;
  d.subnormals = Subnormals::kept;
  d.nonfinite = Nonfinite::computed_skipping_nan_in_blocks;
  return d;
}();

constexpr Dialect fi_batch_invariant_row = [] {
  Dialect d = fi_batch_invariant;
  d.name = "flashinfer_te_class_pertoken";
  d.formats = "nvfp4:static_6";
  d.summary = "the same with a scale per row";
  d.tensor_scale = TensorScale::quotient;
  d.tensor_scale_edge = TensorScaleEdge::bounded;
  d.nonfinite = Nonfinite::computed_skipping_nan_unless_all;
  return d;
}();

constexpr Dialect fi_ocp_floor = [] {
  Dialect d = fi_batch_invariant;
  d.name = "flashinfer_ocp_floor";
  d.formats = "mxfp4:floor";
  d.summary = "FlashInfer's OCP reference: the rule floor on exact bits";
  d.source = "flashinfer/batch_invariant/quantization/mx_reference.py";
  d.mx_scale = MxScale::exact;
  d.mx_infinity = MxInfinity::largest;
  d.mx_nan = MxNan::nan_byte;
  return d;
}();

constexpr Dialect fi_test_ref = [] {
  Dialect d = fi_batch_invariant;
  d.name = "flashinfer_test_ref_fp4_quant";
  d.formats = "nvfp4:static_6 mxfp4:static_6";
  d.summary = "FlashInfer's test reference ref_fp4_quant";
  d.versions = "fb28d724";
  d.source = "tests/test_helpers/utils_fp4.py";
  d.nonfinite = Nonfinite::computed;
  d.block_scale = BlockScale::scale_times_product;
  d.empty_scale = EmptyScale::signed_zero;
  d.scale_overflow = ScaleOverflow::nan;
  d.mx_scale = MxScale::reciprocal;
  d.negative_zero = NegativeZero::dropped;
  d.mx_element_scale = MxElementScale::signed_zero_where_byte_is_zero;
  d.scale_nan = ScaleNan::made_negative;
  return d;
}();

constexpr Dialect fi_test_ref_cuda = [] {
  Dialect d = fi_test_ref;
  d.name = "flashinfer_test_ref_fp4_quant_cuda";
  d.summary = "the same on CUDA";
  d.scale_nan = ScaleNan::positive;
  return d;
}();

constexpr Dialect fi_test_ref_te = [] {
  Dialect d = te_python_ref;
  d.name = "flashinfer_test_ref_te";
  d.formats = "nvfp4:static_6,mse,mae";
  d.summary = "FlashInfer's test references of Transformer Engine: ref_fp4_quant_te, 4over6";
  d.library = "FlashInfer";
  d.versions = "fb28d724";
  d.source = "tests/test_helpers/utils_fp4.py";
  d.nan_element = NanElement::largest;
  return d;
}();

constexpr Dialect fi_test_ref_46 = [] {
  Dialect d = fi_test_ref_te;
  d.name = "flashinfer_test_ref_46";
  d.formats = "nvfp4:mse,mae";
  d.summary = "FlashInfer's test reference of 4/6 with one tensor scale: values (q * s) * D";
  d.error_value = ErrorValue::decode_scale;
  return d;
}();

constexpr Dialect fi_test_ref_te_row = [] {
  Dialect d = fi_test_ref_te;
  d.name = "flashinfer_test_ref_te_pertoken";
  d.summary = "the same with a scale per row, which is 0 for a row of zeros";
  d.tensor_scale_edge = TensorScaleEdge::bounded_zero;
  return d;
}();

constexpr Dialect fi_test_ref_te_fast_error = [] {
  Dialect d = fi_test_ref_te;
  d.name = "flashinfer_test_ref_te_fast_error";
  d.formats = "nvfp4:mse,mae";
  d.summary = "the same with errors in units of the tensor scale";
  d.error_value = ErrorValue::scaled_half;
  return d;
}();

constexpr Dialect fi_default = [] {
  Dialect d = fi_strict;
  d.name = "fi_default";
  d.summary = "FlashInfer's default: rcp.approx, taken as an H200 computes it";
  d.block_scale = BlockScale::scale_times_approximate_product;
  d.selected_scale = SelectedScale::as_block_scale;
  d.element_scale = ElementScale::approximate_reciprocals;
  d.empty_scale = EmptyScale::computed_unless_empty;
  return d;
}();

constexpr Dialect trtllm = [] {
  Dialect d = fi_default;
  d.name = "trtllm";
  d.formats = "nvfp4:static_6 mxfp4:static_6 mxfp8_e4m3:static_6";
  d.summary = "TensorRT-LLM's kernel: rcp.approx, taken as an H200 computes it";
  d.library = "TensorRT-LLM";
  d.versions = "0193dbd4";
  d.source = "cpp/tensorrt_llm/kernels/quantization.cuh";
  d.empty_scale = EmptyScale::computed_unless_h_zero;
  d.subnormals = Subnormals::kept;
  return d;
}();

constexpr Dialect vllm = [] {
  Dialect d = trtllm;
  d.name = "vllm";
  d.formats = "nvfp4:static_6";
  d.alias = "sglang";
  d.summary = "the kernels of vLLM and SGLang: rcp.approx, taken as an H200 computes it";
  d.library = "vLLM, SGLang";
  d.versions = "vLLM 055e47c2";
  d.source = "csrc/quantization/fp4/nvfp4_utils.cuh; sgl-kernel/csrc/gemm/nvfp4_quant_kernels.cu";
  d.empty_scale = EmptyScale::signed_zero;
  return d;
}();

constexpr auto records = std::to_array<Dialect>({fos_cuda,
                                                 te_le_2_13,
                                                 te_ge_2_14,
                                                 te_fast,
                                                 te_tuned_2412,

                                                 te_python_ref,
                                                 te_python_ref_fast_error,
                                                 te_jax,
                                                 fi_strict,
                                                 fi_default,
                                                 fi_batch_invariant,
                                                 fi_batch_invariant_row,
                                                 fi_ocp_floor,
                                                 fi_test_ref,
                                                 fi_test_ref_cuda,
                                                 fi_test_ref_te,
                                                 fi_test_ref_te_row,
                                                 fi_test_ref_46,
                                                 fi_test_ref_te_fast_error,
                                                 trtllm,
                                                 vllm});

}  // namespace

std::span<const Dialect> cuda_kernel_dialects() {
  return records;
}

}  // namespace lowbit::detail
