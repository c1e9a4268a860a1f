// SPDX-License-Identifier: MIT
#include "lowbit/sim/mma.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/mma_core.hpp"
#include "tensor_core/operand.hpp"
#include "tensor_core/rows.hpp"

namespace lowbit::sim {

using lowbit::detail::parallel_chunks;

namespace {

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
