// SPDX-License-Identifier: MIT
#pragma once

#include <nanobind/nanobind.h>

#include <cfenv>
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

}  // namespace lowbit::python
