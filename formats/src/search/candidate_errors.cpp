// SPDX-License-Identifier: MIT
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "search/candidate_errors.hpp"

#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "search/candidate_errors.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "lowbit/error.hpp"
#include "quantize/vector/elements-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

static_assert(candidate_group == group_blocks);

/// The element nearest to a magnitude that is at most the largest element.
template <const ElementFormat& Format>
HWY_INLINE VF nearest_element(VF magnitude) {
  if constexpr (Format.is_integer()) {
    const VF aligner = set(8388608.0F);
    return hn::Sub(hn::Add(magnitude, aligner), aligner);
  } else if constexpr (Format.mantissa_bits == 0) {
    return E2m0Rounding(magnitude, 1.5F - 0x1p-23F).value();
  } else {
    return FloatRounding<Format>(magnitude).value();
  }
}

template <const ElementFormat& Format>
void errors_of(const SearchedBlock& block, const CandidateScales& scales, CandidateErrors& out) {
  const DF d;
  const VF largest = set(value_table<Format>[Format.max_code()]);
  for (std::size_t l = 0; l < group_blocks; l += lanes) {
    const VF inverse = hn::LoadU(d, scales.inverse + l);
    const VF value = hn::Mul(hn::Mul(hn::LoadU(d, scales.value + l), set(scales.power[0])),
                             set(scales.power[1]));
    const VF factor = hn::Min(value, set(0x1p40F));
    VF error = hn::Zero(d);
    VF zeros = hn::Zero(d);
    VF saturated = hn::Zero(d);
    for (int i = 0; i < block.count; ++i) {
      const VF y = hn::Mul(hn::Mul(set(block.x[i]), inverse), set(scales.second));
      const VF q = nearest_element<Format>(hn::Min(y, largest));
      const VF difference = hn::MulSub(q, factor, set(block.scaled[i]));
      const VF weighted = hn::Mul(difference, set(block.weight[i]));
      error = hn::MulAdd(weighted, difference, error);
      const VF square = hn::Mul(weighted, difference);
      zeros = hn::Add(zeros, hn::IfThenElseZero(hn::Eq(q, hn::Zero(d)), square));
      const auto below = hn::And(hn::Ge(y, largest), hn::Le(difference, hn::Zero(d)));
      saturated = hn::Add(saturated, hn::IfThenElseZero(below, square));
    }
    hn::Store(error, d, out.error.data() + l);
    hn::Store(zeros, d, out.zeros.data() + l);
    hn::Store(saturated, d, out.saturated.data() + l);
  }
}

CandidateErrorsFunction find_errors(const ElementFormat& f) {
  if (f == e2m0) return errors_of<e2m0>;
  if (f == e2m1) return errors_of<e2m1>;
  if (f == e2m3) return errors_of<e2m3>;
  if (f == e3m2) return errors_of<e3m2>;
  if (f == e4m3) return errors_of<e4m3>;
  if (f == e5m2) return errors_of<e5m2>;
  if (f == int3) return errors_of<int3>;
  if (f == int4) return errors_of<int4>;
  if (f == int6) return errors_of<int6>;
  if (f == int8) return errors_of<int8>;
  return nullptr;
}

}  // namespace
}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lowbit::detail {
namespace {
HWY_EXPORT(find_errors);
}  // namespace

CandidateErrorsFunction candidate_errors(const ElementFormat& format) {
  const CandidateErrorsFunction found = HWY_DYNAMIC_DISPATCH(find_errors)(format);
  if (found == nullptr) {
    throw Error(ErrorKind::internal,
                "no search over scales of elements of " + std::string(format.name));
  }
  return found;
}

}  // namespace lowbit::detail
#endif
