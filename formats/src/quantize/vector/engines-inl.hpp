// SPDX-License-Identifier: MIT
// Engines by kind: what vector_engine() chooses among, a file each so that they compile side by
// side. Each looks at the elements, the block size, and the axes that its kernels compute; nullptr
// where none serves. Compiled once per target.
#if defined(LOWBIT_ENGINES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_ENGINES_INL
#undef LOWBIT_ENGINES_INL
#else
#define LOWBIT_ENGINES_INL
#endif

#include "quantize/engine.hpp"

namespace lowbit::detail::HWY_NAMESPACE {

/// Of NV blocks with one candidate.
[[nodiscard]] const Engine* static_engine(const TensorConstants& t);
/// Of NVFP4 and AMDFP4, and of IF formats by the elements that compete.
[[nodiscard]] const Engine* four_over_six_engine(const TensorConstants& t);
[[nodiscard]] const Engine* if3_engine(const TensorConstants& t);
[[nodiscard]] const Engine* if4_engine(const TensorConstants& t);
[[nodiscard]] const Engine* if6_engine(const TensorConstants& t);
[[nodiscard]] const Engine* mx_engine(const TensorConstants& t);

}  // namespace lowbit::detail::HWY_NAMESPACE
#endif
