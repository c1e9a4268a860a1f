// SPDX-License-Identifier: MIT
#include "gemm/campaign.hpp"

#include "lowbit/gpu/gemm_replay.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

constexpr int block_threads = 128;

// Scale bytes: E4M3's codes, with its sign bit for the flag of integer blocks.
constexpr std::uint32_t scale_magnitude = e4m3.magnitude_mask();
constexpr std::uint32_t scale_largest = e4m3.max_code();
constexpr std::uint32_t scale_nan = e4m3.nan_code();
constexpr std::uint32_t integer_flag = e4m3.sign_mask();

__device__ std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// A standard normal from 64 random bits, in eighths of a binade around `center`, sigma 2.9 binades
// (a lognormal with sigma 2), clamped to the finite E4M3 codes.
__device__ std::uint32_t spread_scale(std::uint64_t r) {
  int sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<int>(r >> (5 * i) & 31);  // mean 186, sigma 32
  const int code = 56 + (sum - 186) * 23 / 32;
  return static_cast<std::uint32_t>(code < 0 ? 0 : code > 126 ? 126 : code);
}

// -v for a code of a float or an integer block; the most negative integer keeps its code.
__device__ std::uint32_t negated(GemmFormat format, bool integer, std::uint32_t code) {
  const std::uint32_t sign = format == GemmFormat::if3 ? 4 : 8;
  if (!integer) return code ^ sign;
  return code == sign ? code : (0U - code) & (2 * sign - 1);
}

__global__ void generate_kernel(GemmFormat format, InputKind kind, std::uint64_t seed, int side,
                                int rows, int k, std::uint8_t* codes, std::uint8_t* scales) {
  const int k_blocks = (k + 15) / 16;
  const std::size_t index = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<std::size_t>(rows) * k_blocks) return;
  const auto row = static_cast<std::uint64_t>(index / k_blocks);
  const int block = static_cast<int>(index % k_blocks);
  // Blocks 2j and 2j+1 draw from one source where they are to cancel.
  const int source = kind == InputKind::cancel ? block & ~1 : block;
  const std::uint64_t key = mix(seed * 4 + side) ^ (row << 24 | static_cast<std::uint64_t>(source));
  std::uint64_t bits = mix(key);
  const std::uint64_t r = mix(key ^ 0x5ca1eULL << 40);
  const std::uint64_t own =
      mix(mix(seed * 4 + side) ^ (row << 24 | static_cast<std::uint64_t>(block)) ^ 0xbeefULL << 44);
  std::uint32_t scale = spread_scale(r);
  switch (kind) {
    case InputKind::spread:
    case InputKind::cancel:
      break;
    case InputKind::raw:
      scale = static_cast<std::uint32_t>(r & scale_magnitude);
      scale = scale == scale_nan ? scale_largest : scale;
      break;
    case InputKind::benign:
      scale = 0x38 + static_cast<std::uint32_t>(r & 7);
      break;
    case InputKind::sparse:
      bits &= mix(r) & mix(r + 1);
      bits |= (mix(r + 2) & mix(r + 3) & mix(r + 4)) & 0x8888888888888888ULL;
      scale = (r >> 32 & 3) == 0   ? 0
              : (r >> 32 & 3) == 1 ? static_cast<std::uint32_t>(r & 7)
                                   : scale;
      break;
    case InputKind::nan_scale:
      if ((own & 0x3FFF) == 0) scale = scale_nan;
      break;
  }
  // NVFP4 ignores bit 7; the others read it as the integer flag.
  const bool integer = (r >> 63) != 0;
  scale |= integer ? integer_flag : 0;
  std::uint64_t word = 0;
  for (int i = 0; i < 16; ++i) {
    std::uint32_t code =
        static_cast<std::uint32_t>(bits >> (4 * i) & (format == GemmFormat::if3 ? 7 : 15));
    if (kind == InputKind::cancel && side == 1 && block != source &&
        (own >> (4 * (i % 8)) & 15) != i) {
      code = negated(format, integer && format != GemmFormat::nvfp4, code);
    }
    if (block * 16 + i >= k) code = 0;
    word |= static_cast<std::uint64_t>(code) << (4 * i);
  }
  // IF3 leaves bit 3 of a nibble undefined: fill it with noise so that a kernel that reads it
  // fails.
  if (format == GemmFormat::if3) {
    for (int i = 0; i < 16; ++i) {
      if (block * 16 + i < k) word |= (own >> (i + 20) & 1) << (4 * i + 3);
    }
  }
  reinterpret_cast<std::uint64_t*>(codes)[index] = word;
  scales[index] = static_cast<std::uint8_t>(scale);
}

// 2 * value of a code (E2M1, INT4) or the value (E2M0, INT3).
__device__ int code_units(GemmFormat format, bool integer, std::uint32_t code) {
  if (format == GemmFormat::if3) {
    if (integer) return static_cast<int>(code & 3) - static_cast<int>(code & 4);
    const int magnitude = (code & 3) == 0 ? 0 : 1 << ((code & 3) - 1);
    return (code & 4) != 0 ? -magnitude : magnitude;
  }
  if (integer) return 2 * (static_cast<int>(code & 7) - static_cast<int>(code & 8));
  const int field = static_cast<int>(code >> 1 & 3);
  const int magnitude =
      field == 0 ? static_cast<int>(code & 1) : (2 + static_cast<int>(code & 1)) << (field - 1);
  return (code & 8) != 0 ? -magnitude : magnitude;
}

// n * 2^e to FP16, exact by construction (|n| < 2^11 after removing factors of two).
__device__ std::uint32_t exact_half(int n, int e) {
  if (n == 0) return 0;
  const std::uint32_t sign = n < 0 ? 0x8000 : 0;
  std::uint32_t m = static_cast<std::uint32_t>(n < 0 ? -n : n);
  int top = 31 - __clz(static_cast<int>(m));
  const int field = top + e + 15;
  if (field <= 0) return sign | (m << (e + 24));
  m = top > 10 ? m >> (top - 10) : m << (10 - top);
  return sign | static_cast<std::uint32_t>(field) << 10 | (m & 1023);
}

__global__ void expand_kernel(GemmFormat format, bool swap_scales, int rows, int k_blocks,
                              const std::uint8_t* codes, const std::uint8_t* scales,
                              std::uint16_t* out) {
  const std::size_t index = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<std::size_t>(rows) * k_blocks) return;
  const std::size_t row = index / k_blocks;
  const int block = static_cast<int>(index % k_blocks);
  const int scale_block = swap_scales && (block ^ 1) < k_blocks ? block ^ 1 : block;
  const std::uint32_t scale = scales[row * k_blocks + scale_block];
  const std::uint32_t own_scale = scales[index];  // the flag stays with the block
  const bool integer = format != GemmFormat::nvfp4 && (own_scale & integer_flag) != 0;
  const int field = static_cast<int>(scale >> 3 & 15);
  const int significand = static_cast<int>(scale & 7) + (field != 0 ? 8 : 0);
  const int exponent = (field != 0 ? field : 1) - 10;
  const int factor = integer ? integer_factor(format) : float_factor(format);
  const std::uint64_t word = reinterpret_cast<const std::uint64_t*>(codes)[index];
  for (int i = 0; i < 16; ++i) {
    const auto code =
        static_cast<std::uint32_t>(word >> (4 * i) & (format == GemmFormat::if3 ? 7 : 15));
    const int units = code_units(format, integer, code) * factor * significand;
    const std::uint32_t half =
        (scale & scale_magnitude) == scale_nan
            ? 0x7FFF
            : exact_half(units, exponent - (format == GemmFormat::if3 ? 0 : 1) - expand_prescale);
    out[index * 16 + i] = static_cast<std::uint16_t>(half);
  }
}

// One step under each rule on its own accumulator.
__device__ std::uint32_t fma_chain(const std::uint32_t* a, const std::uint32_t* b,
                                   std::uint32_t c) {
  float sum = __uint_as_float(c);
  for (int i = 0; i < 16; ++i) {
    const auto value = [](std::uint32_t h) {
      float f;
      asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(static_cast<std::uint16_t>(h)));
      return f;
    };
    sum = __fmaf_rn(value(a[i]), value(b[i]), sum);
  }
  return __float_as_uint(sum);
}

constexpr int rule_count = 1 + mutant_count;

// All rules' sums of the steps that step_column(step, slot) names, forward and, for the mutant of
// the order, backward.
template <bool mutants, class Column>
__device__ void replay_steps(int first, int last, int stride, int columns, const Column& column,
                             const std::uint16_t* a, const std::uint16_t* b,
                             const std::uint16_t* swapped, bool reverse_is_mutant,
                             std::uint32_t (&sum)[rule_count]) {
  for (int r = 0; r < rule_count; ++r) sum[r] = 0;
  const auto gather = [&](const std::uint16_t* from, int step, bool odd_even,
                          std::uint32_t(&to)[16]) {
    for (int i = 0; i < 16; ++i) {
      const int k = column(step, i) ^ (odd_even ? 1 : 0);
      to[i] = k < columns ? from[k] : 0;
    }
  };
  for (int step = first; step < last; step += stride) {
    std::uint32_t x[16];
    std::uint32_t y[16];
    gather(a, step, false, x);
    gather(b, step, false, y);
    sum[0] = fdpa_f16(x, y, 16, sum[0], 25, false);
    if constexpr (mutants) {
      sum[1] = fdpa_f16(x, y, 16, sum[1], 24, false);
      sum[2] = fdpa_f16(x, y, 16, sum[2], 26, false);
      sum[3] = fdpa_f16(x, y, 16, sum[3], 25, true);
      sum[4] = fdpa_f16(x + 8, y + 8, 8, fdpa_f16(x, y, 8, sum[4], 25, false), 25, false);
      sum[5] = fma_chain(x, y, sum[5]);
      std::uint32_t z[16];
      gather(swapped, step, false, z);
      sum[6] = fdpa_f16(x, z, 16, sum[6], 25, false);
      gather(b, step, true, z);
      sum[8] = fdpa_f16(x, z, 16, sum[8], 25, false);
    }
  }
  if constexpr (mutants) {
    if (!reverse_is_mutant) {
      sum[7] = sum[0];
      return;
    }
    const int count = (last - first + stride - 1) / stride;
    for (int i = count - 1; i >= 0; --i) {
      std::uint32_t x[16];
      std::uint32_t y[16];
      gather(a, first + i * stride, false, x);
      gather(b, first + i * stride, false, y);
      sum[7] = fdpa_f16(x, y, 16, sum[7], 25, false);
    }
  }
}

template <GemmKernel kernel, bool mutants>
__device__ void replay_output(int k_blocks, const std::uint16_t* a, const std::uint16_t* b,
                              const std::uint16_t* swapped, std::uint32_t (&sum)[rule_count]) {
  const int columns = k_blocks * 16;
  if constexpr (kernel == GemmKernel::wgmma) {
    const auto column = [](int step, int slot) { return wgmma_column(step, slot); };
    replay_steps<mutants>(0, wgmma_step_count(columns), 1, columns, column, a, b, swapped, true,
                          sum);
  } else if constexpr (kernel == GemmKernel::mma_f16) {
    const auto column = [](int i, int slot) { return mma_f16_column(i, slot); };
    replay_steps<mutants>(0, mma_f16_instructions(k_blocks), 1, columns, column, a, b, swapped,
                          true, sum);
  } else {
    constexpr int rules = mutants ? rule_count : 1;
    std::uint32_t part[decode_splits][rules];
    for (int w = 0; w < decode_splits; ++w) {
      // Warp w's instructions, numbered through its super-steps.
      const auto column = [w](int i, int slot) {
        const int step = decode_step(w, i / decode_instructions);
        return step * decode_super_step + decode_column(i % decode_instructions, slot);
      };
      const int super_steps = (columns + decode_super_step - 1) / decode_super_step;
      const int mine = decode_step_count(w, super_steps);
      std::uint32_t s[rule_count];
      replay_steps<mutants>(0, mine * decode_instructions, 1, columns, column, a, b, swapped, false,
                            s);
      for (int r = 0; r < rules; ++r) part[w][r] = s[r];
    }
    for (int r = 0; r < rules; ++r) {
      const bool backward = r == 7;
      float total = __uint_as_float(part[backward ? decode_splits - 1 : 0][r]);
      for (int w = 1; w < decode_splits; ++w) {
        total = __fadd_rn(total, __uint_as_float(part[backward ? decode_splits - 1 - w : w][r]));
      }
      sum[r] = __float_as_uint(total);
    }
  }
}

template <GemmKernel kernel, bool mutants>
__global__ void __launch_bounds__(block_threads)
    replay_kernel(int m, int n, int k_blocks, const std::uint16_t* a, const std::uint16_t* b,
                  const std::uint16_t* b_swapped, float alpha, const float* d,
                  ReplayCounts* counts) {
  const int column = blockIdx.x * block_threads + threadIdx.x;
  // Rows divisible by eight evaluate the mutants; gridDim.y covers one class of rows.
  const int row = mutants ? blockIdx.y * 8 : blockIdx.y + blockIdx.y / 7 + 1;
  if (column >= n || row >= m) return;
  const std::size_t columns = static_cast<std::size_t>(k_blocks) * 16;
  std::uint32_t sum[rule_count];
  replay_output<kernel, mutants>(k_blocks, a + row * columns, b + column * columns,
                                 b_swapped + column * columns, sum);
  const std::size_t index = static_cast<std::size_t>(row) * n + column;
  const std::uint32_t got = __float_as_uint(d[index]);
  // A NaN times alpha is the canonical NaN again.
  const auto finished = [alpha](std::uint32_t s) {
    return __float_as_uint(__fmul_rn(alpha, __uint_as_float(s)));
  };
  const std::uint32_t want = finished(sum[0]);
  atomicAdd(&counts->compared, 1ULL);
  if (got != want) {
    atomicAdd(&counts->mismatched, 1ULL);
    atomicMin(&counts->first, static_cast<unsigned long long>(index));
  }
  if constexpr (mutants) {
    atomicAdd(&counts->mutant_outputs, 1ULL);
    for (int r = 1; r < rule_count; ++r) {
      if (finished(sum[r]) != want) atomicAdd(&counts->exposed[r - 1], 1ULL);
    }
  }
}

template <GemmKernel kernel>
cudaError_t replay(int m, int n, int k_blocks, const std::uint16_t* a, const std::uint16_t* b,
                   const std::uint16_t* b_swapped, float alpha, const float* d,
                   ReplayCounts* counts, cudaStream_t stream) {
  const unsigned across = static_cast<unsigned>((n + block_threads - 1) / block_threads);
  const int with_mutants = (m + 7) / 8;
  replay_kernel<kernel, true><<<dim3(across, with_mutants), block_threads, 0, stream>>>(
      m, n, k_blocks, a, b, b_swapped, alpha, d, counts);
  if (m > with_mutants) {
    replay_kernel<kernel, false><<<dim3(across, with_mutants * 7), block_threads, 0, stream>>>(
        m, n, k_blocks, a, b, b_swapped, alpha, d, counts);
  }
  return cudaGetLastError();
}

unsigned blocks_for(std::size_t items) {
  return static_cast<unsigned>((items + block_threads - 1) / block_threads);
}

}  // namespace

cudaError_t generate_operand(GemmFormat format, InputKind kind, std::uint64_t seed, int side,
                             int rows, int k, std::uint8_t* codes, std::uint8_t* scales,
                             cudaStream_t stream) {
  const std::size_t items = static_cast<std::size_t>(rows) * ((k + 15) / 16);
  if (items == 0) return cudaSuccess;
  generate_kernel<<<blocks_for(items), block_threads, 0, stream>>>(format, kind, seed, side, rows,
                                                                   k, codes, scales);
  return cudaGetLastError();
}

cudaError_t expand_operand(GemmFormat format, bool swap_scales, int rows, int k_blocks,
                           const std::uint8_t* codes, const std::uint8_t* scales,
                           std::uint16_t* out, cudaStream_t stream) {
  const std::size_t items = static_cast<std::size_t>(rows) * k_blocks;
  if (items == 0) return cudaSuccess;
  expand_kernel<<<blocks_for(items), block_threads, 0, stream>>>(format, swap_scales, rows,
                                                                 k_blocks, codes, scales, out);
  return cudaGetLastError();
}

cudaError_t replay_compare(GemmKernel kernel, int m, int n, int k_blocks, const std::uint16_t* a,
                           const std::uint16_t* b, const std::uint16_t* b_swapped, float alpha,
                           const float* d, ReplayCounts* counts, cudaStream_t stream) {
  switch (kernel) {
    case GemmKernel::wgmma:
      return replay<GemmKernel::wgmma>(m, n, k_blocks, a, b, b_swapped, alpha, d, counts, stream);
    case GemmKernel::decode:
      return replay<GemmKernel::decode>(m, n, k_blocks, a, b, b_swapped, alpha, d, counts, stream);
    case GemmKernel::mma_f16:
      return replay<GemmKernel::mma_f16>(m, n, k_blocks, a, b, b_swapped, alpha, d, counts, stream);
    case GemmKernel::native_sm120:
    case GemmKernel::native_sm100:
      break;  // never run by the harness
  }
  return cudaErrorInvalidValue;
}

}  // namespace lowbit::gpu::detail
