// SPDX-License-Identifier: MIT
// The engine of HiF4: a scale in E6M2, one-bit exponents on two levels below it, elements in
// quarters (docs/formats.md, section 12). Nothing of the other formats' chain of scales applies.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "lowbit/block_levels.hpp"
#include "quantize/block_loops.hpp"

namespace lowbit::detail {
namespace {

/// The only format with levels: the loops below are compiled for its numbers.
constexpr std::size_t size = 64;
constexpr std::size_t seconds = 8;
constexpr std::size_t thirds = 16;

double bf16_of(double x) {
  return to_double(bf16, from_double(bf16, x));
}

/// The least float v with v * r >= bound. The product of a float and r has 32 bits: exact here. The
/// quotient, rounded twice, is a float beside the exact one: it is v, or the float below v.
float least_with(double r, double bound) {
  auto v = static_cast<float>(bound / r);
  if (v * r < bound) v = std::nextafter(v, std::numeric_limits<float>::infinity());
  return v;
}

/// What follows from a scale byte. Comparisons of x * r with a bound become comparisons of x with a
/// float, which leave nothing to round; doubled bounds are doubled floats.
struct Scale {
  double reciprocal = 0.0;          ///< r
  float doubled = 0.0F;             ///< the least v with v * r >= 2
  std::array<float, 7> quarters{};  ///< the least v with 4 * v * r + 1/2 >= 1, 2, ..., 7
};

const std::array<Scale, 256>& scales() {
  static const std::array<Scale, 256> table = [] {
    std::array<Scale, 256> all;
    for (std::uint32_t byte = 0; byte <= e6m2.max_code(); ++byte) {
      Scale& s = all[byte];
      // 1 / s is no tie of bf16: rounding it to binary64 first changes nothing.
      s.reciprocal = bf16_of(1.0 / to_double(e6m2, byte));
      s.doubled = least_with(s.reciprocal, 2.0);
      for (std::size_t k = 0; k < 7; ++k) {
        s.quarters[k] = least_with(s.reciprocal, (static_cast<double>(k) + 0.5) / 4.0);
      }
    }
    return all;
  }();
  return table;
}

/// One block: its elements are finite, padding is 0.
struct LevelsBlock {
  float largest = 0.0F;  ///< V
  double wanted = 0.0;   ///< the scale before it is rounded to E6M2
  std::uint8_t scale_byte = 0;
  std::uint32_t levels = 0;
  std::array<std::uint8_t, size> codes;

  void run(const float* x) {
    std::array<float, thirds> top;
    for (std::size_t k = 0; k < thirds; ++k) top[k] = amax_of({x + 4 * k, 4});
    largest = amax_of(top);
    // V * bf16(1/7) has at most 32 bits. Outside E6M2's range, at both ends, the nearest scale.
    wanted = bf16_of(largest * bf16_of(1.0 / 7.0));
    scale_byte = static_cast<std::uint8_t>(from_double(e6m2, wanted));
    const Scale& scale = scales()[scale_byte];
    std::array<float, thirds> halvings;
    choose_levels(top, scale, halvings);
    encode(x, scale, halvings);
  }

  /// level_of() with numbers that the compiler knows.
  [[nodiscard]] unsigned level(std::size_t i) const {
    return (levels >> (i * seconds / size) & 1U) + (levels >> (seconds + i * thirds / size) & 1U);
  }

 private:
  void choose_levels(const std::array<float, thirds>& top, const Scale& scale,
                     std::array<float, thirds>& halvings) {
    levels = 0;
    for (std::size_t k = 0; k < thirds; ++k) {
      const bool second = std::max(top[k & ~std::size_t{1}], top[k | 1]) >= 2.0F * scale.doubled;
      const bool third = top[k] >= (second ? 2.0F : 1.0F) * scale.doubled;
      levels |= static_cast<std::uint32_t>(second) << (k / 2) | static_cast<std::uint32_t>(third)
                                                                    << (seconds + k);
      halvings[k] = second && third ? 0.25F : second || third ? 0.5F : 1.0F;
    }
  }

  /// To nearest, ties away from zero, at most 7 quarters: how many of the seven bounds are reached.
  void encode(const float* x, const Scale& scale, const std::array<float, thirds>& halvings) {
    // Halved exactly, or far below every bound.
    alignas(64) std::array<float, size> y;
    for (std::size_t i = 0; i < size; ++i) y[i] = std::fabs(x[i]) * halvings[i / 4];
    alignas(64) std::array<std::int32_t, size> code;
    for (std::size_t i = 0; i < size; ++i) code[i] = x[i] < 0.0F ? 8 : 0;
    for (const float bound : scale.quarters) {
      for (std::size_t i = 0; i < size; ++i) code[i] += y[i] >= bound ? 1 : 0;
    }
    for (std::size_t i = 0; i < size; ++i) codes[i] = static_cast<std::uint8_t>(code[i]);
  }
};

void quantize(const TensorConstants& t, const BlockRun& run, BlockScratch& /*scratch*/,
              const CodedRun& out) {
  LevelsBlock block;
  for (std::size_t k = 0; k < run.blocks; ++k) {
    const BlockInput in = loops::input_of(t, run, k);
    std::uint8_t* const bytes = out.codes + k * t.format->block_bytes();
    if (out.choices != nullptr) out.choices[k] = BlockChoice::only;
    if (loops::is_propagated(t, run, in)) {
      out.scales[k] = static_cast<std::uint8_t>(t.format->scale->nan_code());
      std::fill_n(bytes, t.format->block_bytes(), std::uint8_t{0});
      continue;
    }
    block.run(in.x);
    out.scales[k] = block.scale_byte;
    store_levels(*t.format, block.levels, bytes);
    loops::pack(bytes + t.format->level_bytes(), block.codes.data(), size, 4);
  }
}

void measure(const TensorConstants& t, const BlockRun& run, BlockScratch& /*scratch*/,
             ValueTable& values, ErrorStatistics& sums) {
  LevelsBlock block;
  const BlockErrors errors(*t.format, t.amax, t.encode_constant);
  std::array<float, size> q;
  LaneSums lanes;
  for (std::size_t k = 0; k < run.blocks; ++k) {
    block.run(run.x + k * size);
    const float* const row = values.row(block.scale_byte);
    for (std::size_t i = 0; i < size; ++i) {
      q[i] = row[ValueTable::index(*t.format, block.codes[i], block.level(i))];
    }
    errors.begin_block(BlockChoice::only, run.real_rows, sums);
    const std::size_t columns = run.columns_of(k, size);
    const float* const x =
        run.original + k / run.blocks_per_row * run.original_stride + k % run.blocks_per_row * size;
    errors.add({x, columns}, {q.data(), columns}, block.scale_byte, lanes, sums);
  }
  lanes.add_to(sums);
}

/// A product of 32 bits for people: where it is no float, a neighbour that is no tie either.
float shown(double x) {
  const auto near = static_cast<float>(x);
  if (near == x) return near;
  const float down = std::fabs(near) > std::fabs(x) ? std::nextafter(near, 0.0F) : near;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(down) | 1U);
}

void trace(const TensorConstants& t, const BlockRun& run, std::size_t index,
           BlockScratch& /*scratch*/, BlockTrace& out) {
  const BlockInput in = loops::input_of(t, run, index);
  out.elements.assign(in.x, in.x + size);
  if (loops::is_propagated(t, run, in)) {
    out.propagated = true;
    out.scale_byte = static_cast<std::uint8_t>(t.format->scale->nan_code());
    return;
  }
  LevelsBlock block;
  block.run(in.x);
  out.block_amax = block.largest;
  out.scale_byte = block.scale_byte;
  CandidateTrace& c = out.candidates.emplace_back();
  c.h = static_cast<float>(block.wanted);
  c.scale_byte = block.scale_byte;
  c.scale = to_float(e6m2, block.scale_byte);
  const double r = scales()[block.scale_byte].reciprocal;
  c.inverse = static_cast<float>(r);
  c.levels = block.levels;
  c.codes.assign(block.codes.begin(), block.codes.end());
  for (std::size_t i = 0; i < size; ++i) {
    const auto level = static_cast<int>(block.level(i));
    c.scaled.push_back(shown(std::ldexp(in.x[i] * r, -level)));
    c.quantized.push_back(to_float(s1p2, block.codes[i]));
  }
}

/// Levels are chosen with the codes, which a caller of the two halves has no place for.
std::uint8_t choose(const TensorConstants& t, const float* /*x*/, int /*count*/,
                    BlockScratch& /*scratch*/) {
  throw Error(ErrorKind::usage,
              fmt::format("format {} has levels below its scale: no block of it is encoded by "
                          "itself",
                          t.format->name));
}
void encode(const TensorConstants& t, std::uint8_t /*scale_byte*/, const float* x, int count,
            BlockScratch& scratch, std::uint8_t* /*codes*/) {
  (void)choose(t, x, count, scratch);
}

constexpr Engine table{"scalar", loops::top_magnitude, quantize, measure, trace, choose, encode};

}  // namespace

const Engine& levels_engine(const BlockFormat& format) {
  const auto is = [](int value, std::size_t wanted) { return value == static_cast<int>(wanted); };
  const bool is_known = is(format.block_size, size) && is(format.levels.second, seconds) &&
                        is(format.levels.third, thirds) && *format.element == s1p2 &&
                        *format.scale == e6m2;
  if (!is_known) {
    throw Error(ErrorKind::usage,
                fmt::format("block format {}: no engine quantizes to its levels", format.name));
  }
  return table;
}

}  // namespace lowbit::detail
