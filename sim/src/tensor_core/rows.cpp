// SPDX-License-Identifier: MIT
#include "tensor_core/rows.hpp"

#include <algorithm>
#include <array>

namespace lowbit::sim {
namespace {

/// The batched loops cover the hardware's own parameters; anything else goes term by term.
bool aligned_lanes_cover(const MmaShape& s) {
  const MmaParameters& p = s.parameters;
  return (p.rule == MmaRule::aligned || p.rule == MmaRule::scaled || p.rule == MmaRule::emulated) &&
         p.terms <= detail::max_terms && p.fraction_bits >= s.product_fraction_bits &&
         p.fraction_bits <= 25 && p.zero_sum == ZeroSum::positive &&
         (p.rule != MmaRule::emulated || p.terms == 16) &&
         (p.rule != MmaRule::scaled || p.terms == s.k);
}

bool grouped_lanes_cover(const MmaShape& s) {
  const MmaParameters& p = s.parameters;
  return p.rule == MmaRule::grouped && p.group == 16 && p.terms == 64 && s.k == 64 &&
         p.window == GroupWindow::scales && p.zero_sum == ZeroSum::positive &&
         p.fraction_bits >= 2 + s.scale_fraction_bits && p.fraction_bits <= 37;
}

/// One instruction on one output, from the decoded arrays.
std::uint32_t step_by_terms(const MmaShape& s, const MmaDecoded& a, const MmaDecoded& b,
                            std::size_t row, std::size_t column, std::size_t step,
                            std::uint32_t c) {
  constexpr std::size_t max_k = 64;
  std::array<MmaTerm, max_k> as;
  std::array<MmaTerm, max_k> bs;
  std::array<MmaTerm, max_k> scale_a;
  std::array<MmaTerm, max_k> scale_b;
  const auto k = static_cast<std::size_t>(s.k);
  for (std::size_t i = 0; i < k; ++i) {
    as[i] = a.element(row, step * k + i);
    bs[i] = b.element(column, step * k + i);
  }
  if (s.block != 0) {
    const std::size_t blocks = k / static_cast<std::size_t>(s.block);
    for (std::size_t i = 0; i < blocks; ++i) {
      scale_a[i] = a.scale_term(row, step * blocks + i);
      scale_b[i] = b.scale_term(column, step * blocks + i);
    }
  }
  return instruction_dot(s, as.data(), bs.data(), scale_a.data(), scale_b.data(), c);
}

/// The addend's share of a step: its exponent for the window, and its units once that is known.
struct LaneAddend {
  Number number;
  int exponent = 0;

  LaneAddend(bool half, std::uint32_t word)
      : number(detail::decode_addend(half, word)),
        exponent(number.exponent + detail::addend_fraction_bits(half)) {}
  [[nodiscard]] bool special() const {
    return number.number_class == NumberClass::nan || number.number_class == NumberClass::infinity;
  }
  [[nodiscard]] std::int64_t units(int window) const {
    const std::int64_t value = number.negative ? -static_cast<std::int64_t>(number.significand)
                                               : static_cast<std::int64_t>(number.significand);
    return detail::truncated(value, number.exponent - window);
  }
};

/// 16 outputs of one row, one instruction.
class LaneRow {
 public:
  LaneRow(const MmaShape& s, const MmaDecoded& a, const MmaDecoded& b)
      : s_(s), a_(a), b_(b), kernels_(detail::lane_kernels().front()) {
    // The k that each product of a step takes: in order, or alternate runs when emulated.
    int taken = 0;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < s.k; ++i) {
        const bool first =
            s.parameters.rule != MmaRule::emulated || (i / s.parameters.group) % 2 == 0;
        if (first == (half == 0))
          order_[static_cast<std::size_t>(taken++)] = static_cast<std::uint8_t>(i);
      }
    }
  }

  void run(std::size_t row, std::size_t panel, std::size_t step, int lanes,
           std::uint32_t* d) const {
    if (s_.parameters.rule == MmaRule::grouped) return grouped(row, panel, step, lanes, d);
    const bool emulated = s_.parameters.rule == MmaRule::emulated;
    std::array<std::uint32_t, lane_count> inner{};
    std::uint32_t* target = emulated ? inner.data() : d;
    for (int first = 0; first < s_.k; first += s_.parameters.terms) {
      aligned(row, panel, step, first, lanes, target);
    }
    if (!emulated) return;
    for (int lane = 0; lane < lanes; ++lane)
      d[lane] = detail::add_nearest(s_.half, inner[static_cast<std::size_t>(lane)], d[lane]);
  }

 private:
  [[nodiscard]] std::size_t column(std::size_t panel, int lane) const {
    return panel * lane_count + static_cast<std::size_t>(lane);
  }
  [[nodiscard]] bool flagged(std::size_t row, std::size_t col, std::size_t step) const {
    return a_.special[a_.index(row, step, a_.steps)] != 0 ||
           b_.special[b_.index(col, step, b_.steps)] != 0;
  }

  /// Products order_[first ...] of a step.
  void aligned(std::size_t row, std::size_t panel, std::size_t step, int first, int lanes,
               std::uint32_t* d) const {
    const MmaParameters& p = s_.parameters;
    alignas(64) std::array<std::int32_t, lane_count> largest;
    alignas(64) std::array<std::int32_t, lane_count> scale{};
    alignas(64) std::array<std::int64_t, lane_count> sums;
    for (int lane = 0; lane < lane_count; ++lane) {
      const auto l = static_cast<std::size_t>(lane);
      largest[l] = p.exponent_of_zero;
      if (lane >= lanes) continue;
      const LaneAddend c(s_.half, d[lane]);
      if (c.number.significand != 0) largest[l] = c.exponent;
      if (s_.block != 0) {
        scale[l] = a_.scale_exponents[a_.index(row, step, a_.blocks)] +
                   b_.scale_exponents[b_.index(column(panel, lane), step, b_.blocks)];
      }
    }
    const std::size_t k = step * static_cast<std::size_t>(s_.k);
    detail::AlignedLanes lane_step;
    lane_step.a_significands = a_.significands.data() + row * a_.padded + k;
    lane_step.a_exponents = a_.exponents.data() + row * a_.padded + k;
    lane_step.b_significands = b_.significands.data() + (panel * b_.padded + k) * lane_count;
    lane_step.b_exponents = b_.exponents.data() + (panel * b_.padded + k) * lane_count;
    lane_step.order = order_.data() + first;
    lane_step.count = std::min(p.terms, s_.k - first);
    lane_step.up = p.fraction_bits - s_.product_fraction_bits;
    lane_step.exponent_of_zero = p.exponent_of_zero;
    lane_step.scale_exponents = scale.data();
    lane_step.largest = largest.data();
    lane_step.sums = sums.data();
    kernels_.aligned(lane_step);
    for (int lane = 0; lane < lanes; ++lane) {
      const auto l = static_cast<std::size_t>(lane);
      const LaneAddend c(s_.half, d[lane]);
      const std::size_t col = column(panel, lane);
      if (c.special() || flagged(row, col, step)) {
        const detail::SpecialScan scan =
            scan_products(row, col, step, first, lane_step.count, c.number);
        if (scan.any()) {
          d[lane] = scan.word(s_.half);
          continue;
        }
      }
      const int window = largest[l] - p.fraction_bits;
      d[lane] = detail::finish(p, s_.half, sums[l] + c.units(window), window, false, false);
    }
  }

  [[nodiscard]] detail::SpecialScan scan_products(std::size_t row, std::size_t col,
                                                  std::size_t step, int first, int count,
                                                  const Number& c) const {
    detail::SpecialScan scan;
    scan.addend(c.number_class, c.negative);
    for (int i = first; i < first + count; ++i) {
      const std::size_t k =
          step * static_cast<std::size_t>(s_.k) + order_[static_cast<std::size_t>(i)];
      scan.product(a_.element(row, k), b_.element(col, k));
    }
    if (s_.block != 0) scan_scales(scan, row, col, step);
    return scan;
  }
  void scan_scales(detail::SpecialScan& scan, std::size_t row, std::size_t col,
                   std::size_t step) const {
    const std::size_t blocks = static_cast<std::size_t>(s_.k / s_.block);
    for (std::size_t i = 0; i < blocks; ++i) {
      scan.addend(a_.scale_term(row, step * blocks + i).number_class, false);
      scan.addend(b_.scale_term(col, step * blocks + i).number_class, false);
    }
  }

  void grouped(std::size_t row, std::size_t panel, std::size_t step, int lanes,
               std::uint32_t* d) const {
    constexpr std::size_t groups = 4;
    const MmaParameters& p = s_.parameters;
    alignas(64) std::array<std::int32_t, lane_count> largest;
    alignas(64) std::array<std::int64_t, lane_count> sums;
    for (int lane = 0; lane < lane_count; ++lane) {
      const auto l = static_cast<std::size_t>(lane);
      largest[l] = p.exponent_of_zero;
      if (lane >= lanes) continue;
      const LaneAddend c(s_.half, d[lane]);
      if (c.number.significand != 0) largest[l] = c.exponent;
    }
    // A scale of 32 elements serves two groups.
    alignas(64) std::array<std::int16_t, groups> scale_a;
    alignas(64) std::array<std::int16_t, groups> exponent_a;
    alignas(64) std::array<std::int16_t, groups * lane_count> scale_b;
    alignas(64) std::array<std::int16_t, groups * lane_count> exponent_b;
    const std::size_t blocks = static_cast<std::size_t>(s_.k / s_.block);
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t block = step * blocks + g * blocks / groups;
      const std::size_t at = row * a_.blocks + block;
      scale_a[g] = a_.scale_significands[at];
      exponent_a[g] = a_.scale_exponents[at];
      const std::size_t from = (panel * b_.blocks + block) * lane_count;
      std::copy_n(b_.scale_significands.begin() + static_cast<std::ptrdiff_t>(from), lane_count,
                  scale_b.begin() + static_cast<std::ptrdiff_t>(g * lane_count));
      std::copy_n(b_.scale_exponents.begin() + static_cast<std::ptrdiff_t>(from), lane_count,
                  exponent_b.begin() + static_cast<std::ptrdiff_t>(g * lane_count));
    }
    detail::GroupedLanes lane_step;
    lane_step.a_halves = a_.significands.data() + row * a_.padded + step * 64;
    lane_step.b_halves = b_.significands.data() + (panel * b_.padded + step * 64) * lane_count;
    lane_step.a_nonzero = a_.nonzero.data() + row * a_.runs + step * groups;
    lane_step.b_nonzero = b_.nonzero.data() + (panel * b_.runs + step * groups) * lane_count;
    lane_step.a_scale_significands = scale_a.data();
    lane_step.a_scale_exponents = exponent_a.data();
    lane_step.b_scale_significands = scale_b.data();
    lane_step.b_scale_exponents = exponent_b.data();
    lane_step.up = p.fraction_bits - 2 - s_.scale_fraction_bits;
    lane_step.exponent_of_zero = p.exponent_of_zero;
    lane_step.largest = largest.data();
    lane_step.sums = sums.data();
    kernels_.grouped(lane_step);
    for (int lane = 0; lane < lanes; ++lane) {
      const auto l = static_cast<std::size_t>(lane);
      const LaneAddend c(s_.half, d[lane]);
      const std::size_t col = column(panel, lane);
      if (c.special() || flagged(row, col, step)) {
        detail::SpecialScan scan;
        scan.addend(c.number.number_class, c.number.negative);
        scan_scales(scan, row, col, step);
        if (scan.any()) {
          d[lane] = scan.word(s_.half);
          continue;
        }
      }
      const int window = largest[l] - p.fraction_bits;
      d[lane] = detail::finish(p, s_.half, sums[l] + c.units(window), window, false, false);
    }
  }

  const MmaShape& s_;
  const MmaDecoded& a_;
  const MmaDecoded& b_;
  const detail::LaneKernels& kernels_;
  std::array<std::uint8_t, 64> order_{};
};

}  // namespace

void run_rows(const MmaShape& s, const MmaDecoded& a, const MmaDecoded& b, std::uint32_t* d,
              std::size_t columns, const MmaRange& range) {
  if (!aligned_lanes_cover(s) && !grouped_lanes_cover(s)) {
    for (std::size_t row = range.first_row; row < range.last_row; ++row) {
      for (std::size_t column = 0; column < columns; ++column) {
        std::uint32_t& word = d[row * columns + column];
        for (std::size_t step = range.first_step; step < range.last_step; ++step) {
          word = step_by_terms(s, a, b, row, column, step, word);
        }
      }
    }
    return;
  }
  const LaneRow lanes(s, a, b);
  // A panel's share of this many steps stays in the first-level cache while all rows pass over it.
  const std::size_t block = std::max<std::size_t>(1, 512 / static_cast<std::size_t>(s.k));
  for (std::size_t panel = 0; panel * lane_count < columns; ++panel) {
    const int count =
        static_cast<int>(std::min<std::size_t>(lane_count, columns - panel * lane_count));
    for (std::size_t first = range.first_step; first < range.last_step; first += block) {
      const std::size_t last = std::min(first + block, range.last_step);
      for (std::size_t row = range.first_row; row < range.last_row; ++row) {
        std::uint32_t* words = d + row * columns + panel * lane_count;
        for (std::size_t step = first; step < last; ++step)
          lanes.run(row, panel, step, count, words);
      }
    }
  }
}

}  // namespace lowbit::sim
