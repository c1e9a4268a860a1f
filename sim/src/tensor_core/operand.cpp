// SPDX-License-Identifier: MIT
#include "tensor_core/operand.hpp"

#include <fmt/format.h>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

bool is_grouped(const Instruction& i) {
  return i.scale != nullptr && i.a == &e2m1 && i.k == 64;
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

}  // namespace lowbit::sim
