// SPDX-License-Identifier: MIT
#pragma once

#include <nanobind/nanobind.h>

#include <cfenv>
#include <optional>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lowbit::python {

/// For as long as it lives, floating point is as the library needs it: round to nearest, subnormals
/// kept, no traps. Other extensions of the process flush subnormals (FTZ, DAZ) or round otherwise,
/// and leave it so. Threads that are started meanwhile inherit the clean state.
class FloatEnvironment {
 public:
  FloatEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
#if defined(__x86_64__)
    _mm_setcsr(0x1F80);  // every exception masked, nearest, neither FTZ nor DAZ
#endif
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
  ~FloatEnvironment() {
    std::fesetenv(&saved_);
  }  // on x86-64 MXCSR is part of it

 private:
  std::fenv_t saved_{};
};

/// What every call that computes holds: other Python threads run, and floating point is clean.
class Computing {
  nanobind::gil_scoped_release released_;
  FloatEnvironment environment_;
};

/// Python's numbers as binary32, and back: these conversions too would flush subnormal numbers. A
/// compiler knows of no link between them and the state, and moves them past its changes; volatile
/// numbers stay between.
inline std::optional<float> narrowed(const std::optional<double>& number) {
  if (!number) return std::nullopt;
  const FloatEnvironment environment;
  const volatile double wide = *number;
  const volatile auto narrow = static_cast<float>(wide);
  return narrow;
}
inline double widened(float number) {
  const FloatEnvironment environment;
  const volatile float narrow = number;
  const volatile double wide = narrow;
  return wide;
}

}  // namespace lowbit::python
