// SPDX-License-Identifier: MIT
#include "lowbit/sim/mma.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/mma_core.hpp"
#include "tensor_core/lanes.hpp"

namespace lowbit::sim {

using lowbit::detail::parallel_chunks;

using detail::lane_count;

/// Elements and scales of all vectors, in the layout that the lane loops read: A is [vector][k], B
/// is [panel of 16 vectors][k][lane], both zero-padded.
struct MmaDecoded {
  MmaSide side = MmaSide::a;
  MmaRule rule = MmaRule::aligned;
  const ElementFormat* format = nullptr;
  const ElementFormat* scale = nullptr;
  int k = 0;
  std::size_t padded = 0;  // elements of a vector
  std::size_t blocks = 0;  // scales of a vector
  std::size_t runs = 0;    // runs of 16 elements of a vector
  std::size_t steps = 0;
  std::vector<std::int16_t> significands;  // grouped rules: the values in halves
  std::vector<std::int16_t> exponents;
  std::vector<std::uint8_t> classes;             // NumberClass, and `minus` where negative
  std::vector<std::int16_t> scale_significands;  // scale_nan where NaN
  std::vector<std::int16_t> scale_exponents;
  std::vector<std::uint16_t> nonzero;  // a bit an element, for grouped rules
  std::vector<std::uint8_t> special;   // a step of this vector holds NaN or infinity

  static constexpr std::uint8_t minus = 4;
  static constexpr std::int16_t scale_nan = -1;

  [[nodiscard]] std::size_t index(std::size_t vector, std::size_t i, std::size_t count) const {
    if (side == MmaSide::a) return vector * count + i;
    return ((vector / lane_count) * count + i) * lane_count + vector % lane_count;
  }
  [[nodiscard]] NumberClass element_class(std::size_t at) const {
    return static_cast<NumberClass>(classes[at] & 3U);
  }
  [[nodiscard]] MmaTerm element(std::size_t vector, std::size_t i) const {
    const std::size_t at = index(vector, i, padded);
    // Grouped rules hold halves, which the exponent scales back.
    const int significand = runs != 0 ? significands[at] / (1 << exponents[at]) : significands[at];
    return {static_cast<std::int16_t>(significand), exponents[at], element_class(at),
            (classes[at] & minus) != 0};
  }
  [[nodiscard]] MmaTerm scale_term(std::size_t vector, std::size_t i) const {
    const std::size_t at = index(vector, i, blocks);
    if (scale_significands[at] == scale_nan) return {0, 0, NumberClass::nan, false};
    return {scale_significands[at], scale_exponents[at],
            scale_significands[at] == 0 ? NumberClass::zero : NumberClass::finite, false};
  }
};

namespace {

bool is_grouped(const Instruction& i) {
  return i.scale != nullptr && i.a == &e2m1 && i.k == 64;
}

/// In which form the datapath sees the elements: FP16 where the instruction is emulated.
const ElementFormat& datapath_format(const Instruction& i, const ElementFormat& format) {
  return i.parameters.rule == MmaRule::emulated ? f16 : format;
}

MmaShape shape_of(const Instruction& i) {
  MmaShape s;
  s.parameters = i.parameters;
  s.k = i.k;
  s.block = i.block;
  s.product_fraction_bits =
      datapath_format(i, *i.a).mantissa_bits + datapath_format(i, *i.b).mantissa_bits;
  s.scale_fraction_bits = i.scale != nullptr ? 2 * i.scale->mantissa_bits : 0;
  s.half = i.d == &f16;
  return s;
}

std::uint32_t load(const std::uint8_t* memory, int bits, std::size_t i) {
  if (bits == 4) return (memory[i / 2] >> (i % 2 * 4)) & 15U;
  std::uint32_t code = 0;
  const std::size_t bytes = static_cast<std::size_t>(bits) / 8;
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    code |= static_cast<std::uint32_t>(memory[i * bytes + byte]) << (8 * byte);
  }
  return code;
}

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

}  // namespace

int container_bits(const ElementFormat& format) {
  if (format.bits <= 4) return 4;
  if (format.bits <= 8) return 8;
  return format.bits <= 16 ? 16 : 32;
}

MmaOperand::MmaOperand(const Instruction& instruction, MmaSide side,
                       std::span<const std::uint8_t> memory, std::size_t vectors,
                       std::size_t length, std::span<const std::uint8_t> scales)
    : vectors_(vectors), length_(length) {
  const ElementFormat& format = side == MmaSide::a ? *instruction.a : *instruction.b;
  const int bits = container_bits(format);
  const std::size_t vector_bytes = (length * static_cast<std::size_t>(bits) + 7) / 8;
  const std::size_t block = static_cast<std::size_t>(instruction.block);
  const std::size_t given_blocks = block == 0 ? 0 : (length + block - 1) / block;
  const char* name = side == MmaSide::a ? "A" : "B";
  if (memory.size() != vectors * vector_bytes) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{} of {}: {} bytes where {} vectors of {} {} elements take {}", name,
                            instruction.name, memory.size(), vectors, length, format.name,
                            vectors * vector_bytes));
  }
  if (scales.size() != vectors * given_blocks) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("scale_{} of {}: {} bytes where {} vectors of {} blocks take {}", name,
                            instruction.name, scales.size(), vectors, given_blocks,
                            vectors * given_blocks));
  }
  const std::size_t k = static_cast<std::size_t>(instruction.k);
  steps_ = (length + k - 1) / k;

  auto decoded = std::make_shared<MmaDecoded>();
  MmaDecoded& d = *decoded;
  d.side = side;
  d.rule = instruction.parameters.rule;
  d.format = &format;
  d.scale = instruction.scale;
  d.k = instruction.k;
  d.steps = steps_;
  d.padded = steps_ * k;
  d.blocks = block == 0 ? 0 : d.padded / block;
  const bool grouped = is_grouped(instruction);
  d.runs = grouped ? d.padded / 16 : 0;
  const std::size_t held =
      side == MmaSide::a ? vectors : (vectors + lane_count - 1) / lane_count * lane_count;
  d.significands.assign(held * d.padded, 0);
  d.exponents.assign(held * d.padded, 0);
  d.classes.assign(held * d.padded, 0);
  d.scale_significands.assign(held * d.blocks, 0);
  d.scale_exponents.assign(held * d.blocks, 0);
  d.nonzero.assign(held * d.runs, 0);
  d.special.assign(held * steps_, 0);

  std::vector<MmaTerm> table;
  if (bits <= 8) {
    for (std::uint32_t code = 0; code < format.code_count(); ++code) {
      table.push_back(decode_element(format, d.rule, code));
    }
  }
  const std::uint32_t mask = format.code_mask();
  for (std::size_t v = 0; v < vectors; ++v) {
    const std::uint8_t* row = memory.data() + v * vector_bytes;
    for (std::size_t i = 0; i < length; ++i) {
      const std::uint32_t code = load(row, bits, i);
      const MmaTerm term = bits <= 8 ? table[code & mask] : decode_element(format, d.rule, code);
      const std::size_t at = d.index(v, i, d.padded);
      d.significands[at] = term.significand;
      d.exponents[at] = term.exponent;
      d.classes[at] = static_cast<std::uint8_t>(static_cast<unsigned>(term.number_class) |
                                                (term.negative ? MmaDecoded::minus : 0U));
      if (term.number_class == NumberClass::nan || term.number_class == NumberClass::infinity) {
        d.special[d.index(v, i / k, steps_)] = 1;
      }
      if (grouped) {
        // E2M1 values are multiples of 1/2.
        d.significands[at] = static_cast<std::int16_t>(term.significand * (1 << term.exponent));
        if (term.significand != 0) {
          d.nonzero[d.index(v, i / 16, d.runs)] |= static_cast<std::uint16_t>(1U << (i % 16));
        }
      }
    }
    for (std::size_t i = 0; i < given_blocks; ++i) {
      const MmaTerm term = decode_term(*instruction.scale, scales[v * given_blocks + i]);
      const std::size_t at = d.index(v, i, d.blocks);
      const bool nan = term.number_class == NumberClass::nan;
      d.scale_significands[at] = nan ? MmaDecoded::scale_nan : term.significand;
      d.scale_exponents[at] = term.exponent;
      if (nan) d.special[d.index(v, i * block / k, steps_)] = 1;
    }
  }
  decoded_ = std::move(decoded);
}

namespace {

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

/// All columns of the rows in the range.
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

}  // namespace

void mma(const Instruction& instruction, const MmaOperand& a, const MmaOperand& b,
         std::span<std::uint32_t> d, const MmaRange& range, unsigned threads) {
  if (a.length() != b.length()) {
    throw Error(ErrorKind::invalid_input, fmt::format("{}: A has K = {} and B has K = {}",
                                                      instruction.name, a.length(), b.length()));
  }
  if (d.size() != a.vectors() * b.vectors()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: D has {} words where {} x {} are needed", instruction.name,
                            d.size(), a.vectors(), b.vectors()));
  }
  const MmaDecoded& da = *a.decoded_;
  const MmaDecoded& db = *b.decoded_;
  const bool emulated = instruction.parameters.rule == MmaRule::emulated;
  for (const MmaDecoded* side : {&da, &db}) {
    const ElementFormat& format = side->side == MmaSide::a ? *instruction.a : *instruction.b;
    if (side->format != &format || side->k != instruction.k || side->scale != instruction.scale ||
        (side->rule == MmaRule::emulated) != emulated ||
        (&da == side) != (side->side == MmaSide::a)) {
      throw Error(
          ErrorKind::invalid_input,
          fmt::format("{}: operand decoded for another instruction or side", instruction.name));
    }
  }
  const MmaShape s = shape_of(instruction);
  const std::size_t last_step = std::min(range.last_step, a.steps());
  const std::size_t last_row = std::min(range.last_row, a.vectors());
  if (last_row <= range.first_row || last_step <= range.first_step) return;
  // A share of 64 rows reads each panel of B often enough to pay for fetching it.
  parallel_chunks(
      last_row - range.first_row, 64, threads, [&](std::size_t first, std::size_t last) {
        run_rows(s, da, db, d.data(), b.vectors(),
                 {range.first_step, last_step, range.first_row + first, range.first_row + last});
      });
}

std::vector<std::uint32_t> unpack_codes(const ElementFormat& format,
                                        std::span<const std::uint8_t> memory, std::size_t count) {
  const int bits = container_bits(format);
  if (memory.size() != (count * static_cast<std::size_t>(bits) + 7) / 8) {
    throw Error(ErrorKind::invalid_input, fmt::format("{} bytes do not hold {} {} codes of {} bits",
                                                      memory.size(), count, format.name, bits));
  }
  std::vector<std::uint32_t> codes(count);
  for (std::size_t i = 0; i < count; ++i) codes[i] = load(memory.data(), bits, i);
  return codes;
}

std::uint32_t dot(const Instruction& instruction, std::span<const std::uint32_t> a,
                  std::span<const std::uint32_t> b, std::uint32_t c,
                  std::span<const std::uint8_t> scale_a, std::span<const std::uint8_t> scale_b) {
  const MmaShape s = shape_of(instruction);
  const std::size_t block = static_cast<std::size_t>(s.block);
  const std::size_t given_blocks = block == 0 ? 0 : (a.size() + block - 1) / block;
  if (a.size() != b.size() || scale_a.size() != given_blocks || scale_b.size() != given_blocks) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: a has {} elements and {} scales, b {} and {}; {} scales are needed",
                    instruction.name, a.size(), scale_a.size(), b.size(), scale_b.size(),
                    given_blocks));
  }
  constexpr std::size_t max_k = 64;
  const MmaRule rule = instruction.parameters.rule;
  if (instruction.c == &f16 && !s.half) c = std::bit_cast<std::uint32_t>(to_float(f16, c));
  for (std::size_t first = 0; first < a.size(); first += static_cast<std::size_t>(s.k)) {
    std::array<MmaTerm, max_k> as{};
    std::array<MmaTerm, max_k> bs{};
    std::array<MmaTerm, max_k> as_scales{};
    std::array<MmaTerm, max_k> bs_scales{};
    const std::size_t count = std::min(static_cast<std::size_t>(s.k), a.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      as[i] = decode_element(*instruction.a, rule, a[first + i]);
      bs[i] = decode_element(*instruction.b, rule, b[first + i]);
    }
    for (std::size_t i = 0; block != 0 && i * block < count; ++i) {
      as_scales[i] = decode_term(*instruction.scale, scale_a[first / block + i]);
      bs_scales[i] = decode_term(*instruction.scale, scale_b[first / block + i]);
    }
    c = instruction_dot(s, as.data(), bs.data(), as_scales.data(), bs_scales.data(), c);
  }
  return c;
}

}  // namespace lowbit::sim
