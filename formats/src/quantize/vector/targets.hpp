// SPDX-License-Identifier: MIT
// The instruction sets that files with vectors are compiled for: included before
// hwy/foreach_target.h. Vectors without a fixed size are not served. x86 has AVX-512, AVX2 and, for
// older machines, the lowest target: each more costs the build a third of such a file's time. Bits
// below HWY_AVX3 are its refinements (AVX3_DL, AVX3_ZEN4, AVX3_SPR, ...), of which versions of
// Highway know different ones.
#pragma once

#define HWY_DISABLED_TARGETS                                                                 \
  ((HWY_AVX3 - 1) | HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | \
   HWY_RVV)
