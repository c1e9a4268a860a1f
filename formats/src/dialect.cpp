// SPDX-License-Identifier: MIT
#include "lowbit/dialect.hpp"

#include <array>

namespace lowbit {
namespace {

constexpr auto registry =
    std::to_array<Dialect>({canonical, fos_pytorch, fos_pytorch_cuda, fos_triton});

// One function an axis, without a default: the compiler names a value that has no word here.

std::string_view word(AmaxRange v) {
  switch (v) {
    case AmaxRange::power_of_two:
      return "power_of_two";
    case AmaxRange::unscaled:
      return "unscaled";
  }
  return "";
}

std::string_view word(ScaleOverflow v) {
  switch (v) {
    case ScaleOverflow::saturate:
      return "saturate";
    case ScaleOverflow::nan:
      return "nan";
    case ScaleOverflow::saturate_nan_zero:
      return "saturate_nan_zero";
  }
  return "";
}

std::string_view word(MxScale v) {
  switch (v) {
    case MxScale::exact:
      return "exact";
    case MxScale::divided:
      return "divided";
    case MxScale::reciprocal:
      return "reciprocal";
  }
  return "";
}

std::string_view word(E2m0Ties v) {
  switch (v) {
    case E2m0Ties::even:
      return "even";
    case E2m0Ties::down:
      return "down";
  }
  return "";
}

std::string_view word(NegativeZero v) {
  switch (v) {
    case NegativeZero::kept:
      return "kept";
    case NegativeZero::dropped:
      return "dropped";
  }
  return "";
}

std::string_view word(ElementOverflow v) {
  switch (v) {
    case ElementOverflow::saturate:
      return "saturate";
    case ElementOverflow::wrap_e2m1:
      return "wrap_e2m1";
  }
  return "";
}

std::string_view word(NanElement v) {
  switch (v) {
    case NanElement::largest:
      return "largest";
    case NanElement::torch_cpu:
      return "torch_cpu";
    case NanElement::torch_cuda:
      return "torch_cuda";
    case NanElement::triton_threshold:
      return "triton_threshold";
  }
  return "";
}

std::string_view word(SubnormalCarry v) {
  switch (v) {
    case SubnormalCarry::carried:
      return "carried";
    case SubnormalCarry::clamped_fp6:
      return "clamped_fp6";
  }
  return "";
}

std::string_view word(Int3Coding v) {
  switch (v) {
    case Int3Coding::twos_complement:
      return "twos_complement";
    case Int3Coding::sign_magnitude:
      return "sign_magnitude";
  }
  return "";
}

std::string_view word(IntegerUnit v) {
  switch (v) {
    case IntegerUnit::exact_ratio:
      return "exact_ratio";
    case IntegerUnit::published:
      return "published";
  }
  return "";
}

std::string_view word(StochasticRule v) {
  switch (v) {
    case StochasticRule::exact:
      return "exact";
    case StochasticRule::jitter:
      return "jitter";
  }
  return "";
}

std::string_view word(ErrorOrder v) {
  switch (v) {
    case ErrorOrder::sequential:
      return "sequential";
    case ErrorOrder::torch_cpu:
      return "torch_cpu";
    case ErrorOrder::torch_cuda:
      return "torch_cuda";
    case ErrorOrder::triton:
      return "triton";
  }
  return "";
}

std::string_view word(ErrorFusion v) {
  switch (v) {
    case ErrorFusion::none:
      return "none";
    case ErrorFusion::difference:
      return "difference";
  }
  return "";
}

std::string_view word(ConstantDivision v) {
  switch (v) {
    case ConstantDivision::divide:
      return "divide";
    case ConstantDivision::reciprocal_but_nvfp4:
      return "reciprocal_but_nvfp4";
    case ConstantDivision::reciprocal_but_4bit:
      return "reciprocal_but_4bit";
  }
  return "";
}

std::string_view word(Dequantization v) {
  switch (v) {
    case Dequantization::exact:
      return "exact";
    case Dequantization::via_half:
      return "via_half";
  }
  return "";
}

}  // namespace

std::span<const Dialect> dialects() {
  return registry;
}

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect& dialect : registry) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
}

std::array<DialectAxis, dialect_axis_count> axes_of(const Dialect& d) {
  return {{{"amax_range", word(d.amax_range)},
           {"scale_overflow", word(d.scale_overflow)},
           {"mx_scale", word(d.mx_scale)},
           {"e2m0_ties", word(d.e2m0_ties)},
           {"negative_zero", word(d.negative_zero)},
           {"element_overflow", word(d.element_overflow)},
           {"nan_element", word(d.nan_element)},
           {"subnormal_carry", word(d.subnormal_carry)},
           {"int3_coding", word(d.int3_coding)},
           {"integer_unit", word(d.integer_unit)},
           {"stochastic", word(d.stochastic)},
           {"error_order", word(d.error_order)},
           {"error_fusion", word(d.error_fusion)},
           {"constant_division", word(d.constant_division)},
           {"dequantization", word(d.dequantization)}}};
}

}  // namespace lowbit
